"""Score persons in a film: python onnx_example.py model.onnx film.mp4 SECOND X1 Y1 X2 Y2 (shares of the picture) ..."""

import json
import sys

import av
import numpy as np
import onnxruntime

network = onnxruntime.InferenceSession(sys.argv[1])
about = {key: json.loads(text) for key, text in network.get_modelmeta().custom_metadata_map.items()}
clip, second, boxes = about["clip"], float(sys.argv[3]), np.array(sys.argv[4:], np.float32).reshape(-1, 4)
times, shown = second + np.array(clip["frame_times"]), {}
with av.open(sys.argv[2]) as film:  # pictures: for each time the one that is on display
    origin = film.start_time / av.time_base
    film.seek(int((max(times[0], 0) + origin) * av.time_base))
    for frame in film.decode(video=0):
        if shown and frame.time - origin > times[-1] + 0.0005:
            break
        shown |= {i: frame for i, time in enumerate(times) if i not in shown or frame.time - origin <= time + 0.0005}
    scale = clip["short_side"] / min(frame.width, frame.height)
    size = {"width": round(frame.width * scale), "height": round(frame.height * scale)}
    frames = np.stack([shown[i].to_ndarray(format="rgb24", **size) for i in range(len(times))])
sound, rate = np.zeros(clip["sound_samples"]), clip["sample_rate"]
first = round(second * rate - len(sound) / 2)  # its first sample, counted from the film's start
with av.open(sys.argv[2]) as film:  # sound: the mean of all channels, from a second before it is needed
    if first > rate:  # else from the very beginning: after a seek a decoder lacks what is before the first sample
        film.seek(int((first / rate - 1 + origin) * av.time_base))
    audio_present = np.array([bool(film.streams.audio)])
    resampler = av.AudioResampler("fltp", None, rate, options={"filter_size": 128})
    for frame in film.decode(audio=0) if audio_present else ():
        for piece in resampler.resample(frame):
            at = round((piece.time - origin) * rate) - first
            into = np.arange(max(at, 0, -first), max(at, 0, min(at + piece.samples, len(sound))))
            sound[into] = piece.to_ndarray().mean(axis=0)[into - at]
windows = np.lib.stride_tricks.sliding_window_view(sound, clip["window"])[:: clip["hop"]]
power = np.abs(np.fft.rfft(windows * np.hanning(clip["window"] + 1)[:-1])) ** 2
edges = 700 * (10 ** np.linspace(0, np.log10(1 + rate / 1400), clip["num_mels"] + 2) - 1)  # Hz, of bands
rise = (np.linspace(0, rate / 2, power.shape[1])[:, None] - edges[:-1]) / np.diff(edges)
bands = np.maximum(0, np.minimum(rise[:, :-1], 1 - rise[:, 1:])) * 2 / (edges[2:] - edges[:-2])
log_mel = (np.log(power @ bands + 1e-8) - clip["mean"]) / clip["std"]
chosen = np.linspace(0, len(log_mel) - 1, clip["audio_frames"]).astype(int)
inputs = {"frames": frames[None], "log_mel": log_mel[None, chosen].astype(np.float32), "audio_present": audio_present}
inputs["boxes"] = np.insert(boxes * np.float32([*size.values()] * 2), 0, 0, axis=1)  # first the clip's number
(scores,) = network.run(None, {name: inputs[name] for name in about["inputs"]})
for box, row in zip(boxes.tolist(), scores.tolist()):
    print(json.dumps({"box": box, "scores": {one["name"]: score for one, score in zip(about["classes"], row)}}))
