"""What makes the player page move: its one script, which reads the page's data and draws on two canvases."""

SCRIPT = r"""
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const video = $('video'), overlay = $('overlay'), lanes = $('lanes');
const hidden = {classes: new Set(), persons: new Set()};
const order = new Map(data.persons.map((person, i) => [person.id, i]));
const LABELS = 190, RIGHT = 20, ROW = 16, STRIP = 6, GAP = 9, WAVE = 64, AXIS = 22;
const MOST_PERSONS = 40, MOST_ROWS = 6;
let own = data.thresholds !== null, threshold = data.threshold, drawn = false, source = 0;

const reached = (c, score) => score >= (own ? data.thresholds[c] : threshold);
const clock = s => {
  const tenths = Math.floor(s * 10 + 1e-6), m = Math.floor(tenths / 600), h = Math.floor(m / 60);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, '0');
  return (h ? h + ':' + String(m % 60).padStart(2, '0') : m) + ':' + rest;
};
const person = id => data.persons[order.get(id)];
// Scores of a person at a keyframe are [class, score, what sound added]; those that are to be shown, best first.
const shown = scores =>
  scores.filter(([c, score]) => reached(c, score) && !hidden.classes.has(c)).sort((a, b) => b[1] - a[1]);
// What sound did to a score, as much as is to be told of it.
const told = added => data.change && $('sound').checked && Math.abs(added) >= data.change.least ? added : 0;
const tone = added => added > 0 ? data.change.added : data.change.took;

// Who is where at second t: the nearest keyframe's persons, moved; as avsf_det/visual/interpolation.py has it.
function shot(t) {
  let low = 0, high = data.cuts.length;
  while (low < high) { const mid = (low + high) >> 1; if (data.cuts[mid] <= t) low = mid + 1; else high = mid; }
  return low;
}
function at(t) {
  const times = data.times, frames = data.frames;
  if (times.length < 2) return frames[0] || [];
  let low = 0, high = times.length;
  while (low < high) { const mid = (low + high) >> 1; if (times[mid] <= t) low = mid + 1; else high = mid; }
  const before = Math.min(Math.max(low - 1, 0), times.length - 2);
  const start = times[before], end = times[before + 1], share = (t - start) / (end - start);
  if (share < -0.5 || share > 1.5) return [];
  const first = frames[before], second = frames[before + 1];
  if (shot(start) !== shot(end)) {
    return shot(t) === shot(start) ? first : shot(t) === shot(end) ? second : [];
  }
  if (shot(t) !== shot(start)) return [];
  const [nearest, other] = share < 0.5 ? [first, second] : [second, first];
  if (share <= 0 || share >= 1) return nearest;
  const weight = Math.min(share, 1 - share), place = new Map(other.map(one => [one[0], one[1]]));
  return nearest.map(([id, box, scores]) => {
    const to = id < 0 ? undefined : place.get(id);
    return [id, to ? box.map((v, i) => v + weight * (to[i] - v)) : box, scores];
  });
}

function sharp(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}

function drawOverlay() {
  const width = video.clientWidth, height = video.clientHeight, pen = sharp(overlay, width, height);
  if (drawn || !video.videoWidth) return;
  const scale = Math.min(width / video.videoWidth, height / video.videoHeight);
  const w = video.videoWidth * scale, h = video.videoHeight * scale, left = (width - w) / 2, top = (height - h) / 2;
  const size = Math.max(11, Math.min(16, w / 55)), row = size * 1.45;
  const taken = []; pen.textBaseline = 'middle';
  const visible = at(video.currentTime).filter(one => !hidden.persons.has(one[0]));
  const boxes = visible.map(([, [x1, y1, x2, y2]]) => [left + x1 * w, top + y1 * h, (x2 - x1) * w, (y2 - y1) * h]);
  visible.forEach(([id], i) => {
    pen.strokeStyle = 'rgba(0,0,0,.7)'; pen.lineWidth = 4; pen.strokeRect(...boxes[i]);
    pen.strokeStyle = person(id).colour; pen.lineWidth = 2; pen.strokeRect(...boxes[i]);
  });
  visible.forEach(([id, , scores], i) => {
    const lines = shown(scores).slice(0, data.most).map(([c, score, added]) => {
      const change = told(added), sign = change > 0 ? '+' : '−';
      const part = change ? '  ♪' + sign + Math.abs(change).toFixed(2) : '';
      return {c, text: data.classes[c] + '  ' + score.toFixed(2), part, change};
    });
    const badge = id < 0 ? '' : String(id), [x, y, , tall] = boxes[i];
    pen.font = '600 ' + size + 'px system-ui, sans-serif';
    const side = badge ? pen.measureText(badge).width + 10 : 5;
    pen.font = size + 'px system-ui, sans-serif';
    const wide = side + Math.max(0, ...lines.map(line => pen.measureText(line.text + line.part).width + 12));
    const high = row * Math.max(1, lines.length);
    const places = [y - high - 2, y + 2, y + tall + 2, y + tall - high - 2];
    const px = Math.max(left, Math.min(x, left + w - wide));
    const meets = ([a, b, c, d], py) => px < a + c && a < px + wide && py < b + d && b < py + high;
    const clash = py => taken.filter(label => meets(label, py)).length;
    const fits = py => py >= top && py + high <= top + h;
    const py = places.filter(fits).sort((a, b) => clash(a) - clash(b))[0] ?? Math.max(top, y + 2);
    taken.push([px, py, wide, high]);
    pen.fillStyle = 'rgba(18,18,24,.76)'; pen.fillRect(px, py, wide, high);
    pen.fillStyle = person(id).colour; pen.fillRect(px, py, side, high);
    pen.fillStyle = person(id).ink; pen.font = '600 ' + size + 'px system-ui, sans-serif';
    pen.fillText(badge, px + 5, py + row / 2);
    pen.font = size + 'px system-ui, sans-serif';
    lines.forEach(({c, text, part, change}, n) => {
      const from = px + side + 6, y = py + row * (n + 0.5);
      pen.fillStyle = data.colours[c]; pen.fillText(text, from, y);
      if (part) { pen.fillStyle = tone(change); pen.fillText(part, from + pen.measureText(text).width, y); }
    });
  });
}

// Each keyframe stands for the time up to halfway to its neighbours.
const spans = data.times.map((t, i, times) => {
  if (times.length < 2) return [0, data.duration];
  const back = (i ? t - times[i - 1] : times[1] - t) / 2;
  const on = (i + 1 < times.length ? times[i + 1] - t : t - times[i - 1]) / 2;
  return [Math.max(0, t - back), Math.min(data.duration, t + on)];
});

function bands() {
  const found = new Map();
  data.frames.forEach((frame, i) => frame.forEach(([id, , scores]) => {
    if (hidden.persons.has(id)) return;
    if (!found.has(id)) found.set(id, {id, seen: [], classes: new Map()});
    const band = found.get(id);
    band.seen.push(i);
    for (const [c, score, added] of scores) {
      if (hidden.classes.has(c)) continue;
      if (!band.classes.has(c)) band.classes.set(c, {sum: 0, passed: false, cells: []});
      const one = band.classes.get(c);
      one.sum += score; one.passed = one.passed || reached(c, score); one.cells.push([i, score, added]);
    }
  }));
  const longest = [...found.values()].sort((a, b) => b.seen.length - a.seen.length).slice(0, MOST_PERSONS);
  longest.forEach(band => {
    const passed = [...band.classes].filter(([, one]) => one.passed).sort((a, b) => b[1].sum - a[1].sum);
    band.rows = passed.slice(0, MOST_ROWS); band.more = passed.length - band.rows.length;
    band.height = Math.max(ROW, STRIP + ROW * (band.rows.length + (band.more ? 1 : 0))) + GAP;
  });
  return [longest.sort((a, b) => order.get(a.id) - order.get(b.id)), found.size - longest.length];
}

const wave = data.wave && Uint8Array.from(atob(data.wave), c => c.charCodeAt(0));

function drawLanes() {
  const [people, others] = bands(), width = lanes.parentElement.clientWidth;
  const body = people.reduce((sum, band) => sum + band.height, 0) || 30, height = 8 + body + WAVE + AXIS;
  lanes.style.height = height + 'px';
  const pen = sharp(lanes, width, height), across = width - LABELS - RIGHT;
  const x = t => LABELS + t / data.duration * across;
  const steps = [.1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const most = Math.max(2, across / 80), step = steps.find(s => data.duration / s <= most) || 14400;
  pen.textBaseline = 'middle'; pen.font = '12px system-ui, sans-serif';
  for (let t = 0; t <= data.duration + 1e-6; t += step) {
    pen.fillStyle = '#e4e7eb'; pen.fillRect(Math.round(x(t)), 0, 1, height - AXIS + 4);
    pen.fillStyle = '#5b656d'; pen.textAlign = 'center';
    pen.fillText(step < 1 ? t.toFixed(1) : clock(t), x(t), height - 9);
  }
  let top = 8; pen.textAlign = 'right';
  const name = (text, y, colour) => {
    pen.fillStyle = colour; pen.fillText(cut(pen, text, LABELS - 52), LABELS - 8, y);
  };
  people.forEach(band => {
    const one = person(band.id), strip = (cells, y, high) => cells.forEach(([i, colour]) => {
      const [from, to] = spans[i].map(t => Math.round(x(t)));
      pen.fillStyle = colour; pen.fillRect(from, y, Math.max(1, to - from), high);
    });
    pen.fillStyle = one.colour; pen.fillRect(0, top, 34, ROW);
    pen.fillStyle = one.ink; pen.textAlign = 'center';
    pen.fillText(band.id < 0 ? '–' : band.id, 17, top + ROW / 2 + 1); pen.textAlign = 'right';
    strip(band.seen.map(i => [i, one.colour]), top, STRIP - 2);
    band.rows.forEach(([c, {cells}], n) => {
      const y = top + STRIP + n * ROW;
      name(data.classes[c], y + ROW / 2, '#22282d');
      const tint = score => data.ramp[Math.round(score * (data.ramp.length - 1))];
      strip(cells.map(([i, score]) => [i, tint(score)]), y, ROW - 2);
      cells.filter(cell => told(cell[2])).forEach(([i, , added]) => {
        const high = Math.abs(added) * (ROW - 2);  // what was added stands on the lower edge, what was taken hangs
        strip([[i, tone(added)]], added > 0 ? y + ROW - 2 - high : y, high);
      });
    });
    if (band.more) name('and ' + band.more + ' more', top + STRIP + (band.rows.length + .5) * ROW, '#5b656d');
    top += band.height;
  });
  if (!people.length) {
    pen.textAlign = 'left'; pen.fillStyle = '#5b656d'; pen.fillText('nobody to show', LABELS, top + 12);
  }
  const middle = 8 + body + WAVE / 2;
  pen.textAlign = 'right'; name(wave ? 'sound' : 'no sound', middle, '#5b656d');
  if (wave) {
    pen.fillStyle = '#4682b4';
    const columns = wave.length / 2, each = across / columns;
    for (let i = 0; i < columns; i++) {
      const low = (wave[2 * i] - 128) / 127, high = (wave[2 * i + 1] - 128) / 127, y = middle - high * WAVE * .45;
      pen.fillRect(LABELS + i * each, y, Math.max(1, each), Math.max(1, (high - low) * WAVE * .45));
    }
  }
  const left = ' more persons, seen for a shorter time, are not in the timeline.';
  $('others').textContent = others > 0 ? others + left : '';
  moveHead();
}

function cut(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  while (text && pen.measureText(text + '…').width > width) text = text.slice(0, -1);
  return text + '…';
}

function moveHead() {
  const across = lanes.parentElement.clientWidth - LABELS - RIGHT;
  const left = LABELS + Math.min(video.currentTime, data.duration) / data.duration * across;
  $('head').style.transform = 'translateX(' + left + 'px)';
  $('time').textContent = clock(video.currentTime) + ' / ' + clock(data.duration);
}

function redraw() { drawOverlay(); moveHead(); }
function follow() { redraw(); if (!video.paused && !video.ended) next(); }
function next() {
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(follow); else requestAnimationFrame(follow);
}
function all() { drawOverlay(); drawLanes(); }

function seek(event) {
  const box = lanes.getBoundingClientRect(), across = box.width - LABELS - RIGHT;
  const t = (event.clientX - box.left - LABELS) / across * data.duration;
  video.currentTime = Math.max(0, Math.min(t, data.duration - 0.001));
}
lanes.addEventListener('pointerdown', event => { lanes.setPointerCapture(event.pointerId); seek(event); });
lanes.addEventListener('pointermove', event => { if (event.buttons & 1) seek(event); });
$('timeline').addEventListener('keydown', event => {
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!by) return;
  const now = video.currentTime, times = by > 0 ? data.times : [...data.times].reverse();
  const to = times.find(t => by * (t - now) > 0.01);
  if (to !== undefined) video.currentTime = to;
  event.preventDefault();
});

function list(id, items, off) {
  const ticks = items.map(({key, text, note, colour, ink, picture}) => {
    const line = document.createElement('label'), tick = document.createElement('input');
    tick.type = 'checkbox'; tick.checked = true;
    tick.addEventListener('change', () => { tick.checked ? off.delete(key) : off.add(key); all(); });
    const name = document.createElement('span'), count = document.createElement('small');
    name.textContent = text; name.title = text; count.textContent = note;
    line.append(tick);
    if (picture) {
      const img = new Image();
      img.src = picture; img.alt = ''; img.style.borderColor = colour;
      line.append(img);
    }
    if (ink) { name.className = 'badge'; name.style.background = colour; name.style.color = ink; }
    line.append(name, count);
    $(id).append(line);
    return tick;
  });
  const every = on => ticks.forEach((tick, i) => {
    tick.checked = on; on ? off.delete(items[i].key) : off.add(items[i].key);
  });
  $(id + '-all').addEventListener('click', () => { every(true); all(); });
  $(id + '-none').addEventListener('click', () => { every(false); all(); });
}
const peaks = data.classes.map(() => 0), seen = new Map();
data.frames.forEach(frame => frame.forEach(([id, , scores]) => {
  seen.set(id, (seen.get(id) || 0) + 1);
  for (const [c, score] of scores) peaks[c] = Math.max(peaks[c], score);
}));
list('classes', peaks.map((peak, c) => [peak, c]).filter(([peak]) => peak > 0).sort((a, b) => b[0] - a[0])
  .map(([peak, c]) => ({key: c, text: data.classes[c], note: 'up to ' + peak.toFixed(2)})), hidden.classes);
list('persons', data.persons.map(one => ({
  key: one.id, text: one.id < 0 ? 'no id' : String(one.id), colour: one.colour, ink: one.ink, picture: one.picture,
  note: 'in ' + seen.get(one.id) + (seen.get(one.id) === 1 ? ' keyframe' : ' keyframes'),
})), hidden.persons);

const slider = $('threshold'), each = $('own');
const tell = () => { $('value').textContent = own ? 'each class its own' : Number(threshold).toFixed(2); };
slider.value = threshold; each.checked = own; each.parentElement.hidden = data.thresholds === null; tell();
slider.addEventListener('input', () => {
  threshold = Number(slider.value); own = each.checked = false; tell(); all();
});
each.addEventListener('change', () => { own = each.checked; tell(); all(); });
$('sound').parentElement.hidden = !data.change; $('sound').addEventListener('change', all);

function open() {
  const one = data.sources[source];
  drawn = one.drawn; video.src = one.src; video.load();
  const copy = 'The original file cannot be played here: this is the annotated copy, with its boxes in the picture.';
  $('note').textContent = drawn ? copy : '';
}
video.addEventListener('error', () => {
  if (++source < data.sources.length) open();
  else $('note').textContent = 'The video cannot be played: ' + data.sources.map(one => one.src).join(', ');
});
for (const name of ['loadeddata', 'seeked', 'pause', 'timeupdate']) video.addEventListener(name, redraw);
video.addEventListener('play', next);
$('full').addEventListener('click', () => {
  document.fullscreenElement ? document.exitFullscreen() : $('stage').requestFullscreen();
});
new ResizeObserver(drawOverlay).observe(video);
new ResizeObserver(drawLanes).observe($('timeline'));
open();
"""
