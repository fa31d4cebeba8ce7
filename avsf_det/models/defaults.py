"""Defaults of the config keys that `build.py` reads, named as in PySlowFast and fanyix/SlowFast where they exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yacs.config import CfgNode


def add_model_defaults(cfg: CfgNode) -> None:
    """Add the groups MODEL, BN, RESNET, NONLOCAL, SLOWFAST and DETECTION to `cfg`."""
    node = type(cfg)

    cfg.MODEL = node()
    cfg.MODEL.MODEL_NAME = "AVSlowFast"  # AVSlowFast, SlowFast (without sound), or Audio (without pictures)
    cfg.MODEL.NUM_CLASSES = 80  # action classes
    cfg.MODEL.LABEL_SPACES = []  # of a clip's label spaces, such as [verb, noun]; of a detector, for a second head
    cfg.MODEL.NUM_CLASSES_LIST = []  # classes of each of LABEL_SPACES, in place of NUM_CLASSES
    cfg.MODEL.DROPOUT_RATE = 0.5  # chance to drop an input of the last layer
    cfg.MODEL.HEAD_ACT = "softmax"  # of a head for clips: softmax (one class holds) or sigmoid; training sets it
    cfg.MODEL.ACT_CHECKPOINT = []  # stages (s1 to s5) computed again in the backward pass to save memory
    cfg.MODEL.FC_INIT_STD = 0.01  # standard deviation of the last layer's first weights
    cfg.MODEL.FROZEN_BN = False  # norms stay by the statistics of the weights started from; scales still learn
    cfg.MODEL.FREEZE_AT = 0  # first stages (s1 ...) of Slow and Fast that stay as loaded, norms too; Audio learns
    cfg.MODEL.DETACH_FINAL_FC = False  # linear probe: the last layer alone learns, and all before it is as in testing
    cfg.MODEL.LOSS_FUNC = "bce"  # where several classes hold: binary cross-entropy (bce_logit is the same), or focal
    cfg.MODEL.FOCAL_GAMMA = 2.0  # how much less the focal loss makes of what is easy
    cfg.MODEL.FOCAL_ALPHA = 0.25  # its weight of classes that are present; absent ones have 1 - FOCAL_ALPHA
    cfg.MODEL.CLASS_BALANCE = "none"  # or effective_number: rare classes weigh more where they are present
    cfg.MODEL.CLASS_BALANCE_MAX_RATIO = 20.0  # of the largest to the smallest class weight; 0 for no limit
    cfg.MODEL.CLASS_BALANCE_BETA = 0.999  # of the effective number: 0 weighs all classes alike, 1 by inverse frequency

    cfg.BN = node()
    cfg.BN.NORM_TYPE = "batchnorm"  # by each process's clips, or sync_batchnorm: by those of several
    cfg.BN.NUM_SYNC_DEVICES = 0  # how many processes in a row that is; 0 is all of them
    cfg.BN.USE_PRECISE_STATS = False  # after each epoch, make running statistics anew with the weights as they are
    cfg.BN.NUM_BATCHES_PRECISE = 200  # from this many batches of each process

    cfg.RESNET = node()
    cfg.RESNET.DEPTH = 50  # of Slow and Fast: 18, 34, 50 or 101
    cfg.RESNET.WIDTH_PER_GROUP = 64  # Slow channels after conv1; every other width follows from it
    cfg.RESNET.ZERO_INIT_FINAL_BN = True  # each residual block starts as its shortcut
    cfg.RESNET.SPATIAL_STRIDES = [1, 2, 2, 1]  # of the visual res2..res5; [1, 2, 2, 2] for classification
    cfg.RESNET.SPATIAL_DILATIONS = [1, 1, 1, 2]  # of the visual res2..res5; [1, 1, 1, 1] for classification
    cfg.RESNET.NUM_BLOCK_TEMP_KERNEL = []  # how many blocks of res2..res5 have temporal kernels; [] is all of them
    cfg.RESNET.AUDIO_DEPTH = 50  # of Audio: 18, 34, 50 or 101
    cfg.RESNET.AUDIO_TRANS_FUNC = "tf_bottleneck_transform_v1"  # blocks of Audio's res2 and res3; or ..._v2

    cfg.NONLOCAL = node()
    cfg.NONLOCAL.LOCATION = [[], [], [], []]  # of res2..res5: the Slow blocks that a non-local block follows
    cfg.NONLOCAL.POOL = [1, 2, 2]  # max pooling inside it over T, H and W
    cfg.NONLOCAL.INSTANTIATION = "dot_product"  # or softmax

    cfg.SLOWFAST = node()
    cfg.SLOWFAST.ALPHA = 8  # Fast frames per Slow frame
    cfg.SLOWFAST.BETA_INV = 8  # Slow channels per Fast channel
    cfg.SLOWFAST.FUSION_CONV_CHANNEL_RATIO = 2  # channels of Fast→Slow per Fast channel
    cfg.SLOWFAST.FUSION_KERNEL_SZ = 5  # of Fast→Slow, in Fast frames
    cfg.SLOWFAST.FS_FUSION = [True, True, True, True]  # Fast joins Slow after pool1, res2, res3, res4
    cfg.SLOWFAST.AFS_FUSION = [False, False, True, True]  # Audio joins Slow after pool1, res2, res3, res4
    cfg.SLOWFAST.AU_FUSION = "audio_to_fast_slow"  # how Audio joins: a name in AUDIO_FUSIONS of models/fusion.py
    cfg.SLOWFAST.AU_ALPHA = 32  # audio frames per Slow frame
    cfg.SLOWFAST.AU_BETA_INV = 2  # Slow channels per Audio channel
    cfg.SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM = 64  # channels of the audio fusion's inner convolutions
    cfg.SLOWFAST.AU_FUSION_KERNEL_SZ = 5  # of the audio fusion, in audio frames
    cfg.SLOWFAST.AU_FUSION_CONV_NUM = 2  # convolutions of the audio fusion
    cfg.SLOWFAST.DROPPATHWAY_RATE = 0.8  # chance that a training clip's sound is dropped
    cfg.SLOWFAST.DROPPATHWAY_SCOPE = "pathway"  # it is dropped altogether; "laterals" leaves it to the head
    cfg.SLOWFAST.DROPPATHWAY_PER_SAMPLE = False  # one draw a clip instead of one a batch
    cfg.SLOWFAST.DROPPATHWAY_REPLACEMENT = "zeros"  # what stands in for dropped sound: zeros or running_mean
    cfg.SLOWFAST.AVS_FLAG = [False] * 5  # synchronisation is trained after pool1, res2, res3, res4, res5
    cfg.SLOWFAST.AVS_PROJ_DIM = 64  # dimensions it is judged in
    cfg.SLOWFAST.AVS_LOSS = "margin"  # or infonce, with a temperature of 0.07
    cfg.SLOWFAST.AVS_WEIGHT = 1.0  # of its loss, summed over the stages, against the actions' loss
    cfg.SLOWFAST.AVS_VAR_THRESH = 0.01  # sound of less variance is near silent and left out of it
    cfg.SLOWFAST.AVS_DUPLICATE_THRESH = 0.99999  # so is sound that is more similar to its negative (cosine)

    cfg.DETECTION = node()
    cfg.DETECTION.ENABLE = True  # score the actions of each box; otherwise those of the whole clip
    cfg.DETECTION.ROI_XFORM_RESOLUTION = 7  # cells that RoIAlign makes of a box along each side
    cfg.DETECTION.SAMPLING_RATIO = 0  # samples along each side of such a cell; 0 is as many as the box calls for
    cfg.DETECTION.ALIGNED = True  # RoIAlign shifts boxes by half a pixel; False for models converted from Caffe2
