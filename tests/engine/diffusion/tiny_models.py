"""Real ACE-Step and Stable Audio 3 pipelines of a few thousand random weights, saved in the diffusers layout.

Everything but the size is as in the real checkpoints: component classes, sample rates, hop lengths, stereo, file
layout, precision of the files.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepPipeline,
    AceStepTransformer1DModel,
    AutoencoderOobleck,
    AutoencoderSAME,
    FlowMatchEulerDiscreteScheduler,
    StableAudio3DiTModel,
    StableAudio3DurationEmbedder,
    StableAudio3Pipeline,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    T5GemmaConfig,
    T5GemmaEncoderModel,
    T5GemmaModuleConfig,
)

WORDS = 96


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Letters and signs as tokens."""
    signs = [chr(c) for c in range(32, 32 + WORDS - 4)]
    vocabulary = {sign: i for i, sign in enumerate(["<pad>", "<eos>", "<unk>", "\n", *signs])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", model_max_length=256
    )


def save_ace_step(folder: Path, variant: str = "turbo", codes: bool = True, seed: int = 0) -> Path:
    """An ACE-Step checkpoint of the variant; `codes`: with the tokenizer of semantic codes."""
    torch.manual_seed(seed)
    channels, width, text = 4, 16, 16
    size = {
        "hidden_size": width,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "sliding_window": 8,
    }
    pipe = AceStepPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=2 * channels,
            downsampling_ratios=[2, 4, 4, 6, 10],
            channel_multiples=[1, 1, 1, 1, 1],
            decoder_channels=4,
            decoder_input_channels=channels,
            audio_channels=2,
            sampling_rate=48_000,
        ),
        text_encoder=Qwen3Model(
            Qwen3Config(
                vocab_size=WORDS,
                hidden_size=text,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,
            )
        ),
        tokenizer=tiny_tokenizer(),
        transformer=AceStepTransformer1DModel(
            num_hidden_layers=2,
            in_channels=3 * channels,
            audio_acoustic_hidden_dim=channels,
            patch_size=2,
            is_turbo=variant == "turbo",
            model_version=variant,
            **size,
        ),
        condition_encoder=AceStepConditionEncoder(
            text_hidden_dim=text,
            timbre_hidden_dim=channels,
            num_lyric_encoder_hidden_layers=1,
            num_timbre_encoder_hidden_layers=1,
            **size,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        audio_tokenizer=AceStepAudioTokenizer(
            audio_acoustic_hidden_dim=channels,
            fsq_dim=width,
            fsq_input_levels=[5, 5, 5],
            num_attention_pooler_hidden_layers=1,
            **size,
        )
        if codes
        else None,
        audio_token_detokenizer=AceStepAudioTokenDetokenizer(
            audio_acoustic_hidden_dim=channels, num_attention_pooler_hidden_layers=1, **size
        )
        if codes
        else None,
    )
    pipe.save_pretrained(folder)
    if not codes:  # as the published conversion script writes it: without optional components, without a scheduler
        index = json.loads((folder / "model_index.json").read_text())
        for part in ("audio_tokenizer", "audio_token_detokenizer", "scheduler"):
            index.pop(part, None)
        (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def save_stable_audio(folder: Path, variant: str = "distilled", seed: int = 0) -> Path:
    """A Stable Audio 3 checkpoint of the variant."""
    torch.manual_seed(seed)
    width, text, channels = 16, 16, 8
    module = T5GemmaModuleConfig(
        vocab_size=WORDS,
        hidden_size=text,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=16,
    )
    transformer = StableAudio3DiTModel(
        io_channels=channels,
        embed_dim=32,
        depth=2,
        num_heads=2,
        cond_token_dim=text,
        global_cond_dim=text,
        local_add_cond_dim=channels + 1,
        timestep_features_dim=16,
        num_memory_tokens=4,
    )
    vae = AutoencoderSAME(
        audio_channels=2,
        patch_size=256,
        encoder_channels=width,
        encoder_c_mults=[2],
        encoder_strides=[16],
        encoder_transformer_depths=[1],
        latent_dim=channels,
        dim_heads=8,
        ff_mult=1,
        sampling_rate=44_100,
    )
    for network in (transformer, vae):  # what begins at nothing would make every sound the same
        for weights in network.parameters():
            if weights.abs().max() < 1e-3:
                torch.nn.init.normal_(weights, std=0.3)
    pipe = StableAudio3Pipeline(
        vae=vae,
        text_encoder=T5GemmaEncoderModel(T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False)),
        tokenizer=tiny_tokenizer(),
        duration_embedder=StableAudio3DurationEmbedder(output_dim=text, fourier_dim=16),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(
            num_train_timesteps=1, shift=1.0, stochastic_sampling=variant == "distilled"
        ),
    )
    pipe.save_pretrained(folder)
    return folder
