"""What a run is: the network, the optimiser and the loop, and the presets of all three.

The vocabularies, the grid and the caption slots are no choices of a run: the tokens manifest
says them. Numbers of the paper are from Ramesh et al. 2021, section 2.2 and appendix B.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tokens.sequence import SequenceLayout

HEAD_WIDTH = 64
"""Width of one attention head, at every size (appendix B.1: 62 heads x 64 = 3,968)."""


@dataclass(frozen=True, slots=True)
class Network:
    """The transformer's shape."""

    num_layers: int = 64
    width: int = 3968
    dropout: float = 0.0
    """Share of activations dropped after the embedding and in each residual branch. The paper
    names none, and saw no overfitting on 250 M pairs; a few thousand pictures need some."""
    attention: Literal["paper", "full"] = "paper"
    """Row, column and convolutional masks by layer, or dense causal attention in all."""
    head: Literal["split", "joint"] = "split"
    """A softmax over the ids that can stand at a position, or over both vocabularies at every
    position (model/transformer.py says what differs)."""
    counted_pads: Literal["all", "first"] = "all"
    """Which pads are targets of the text loss. The paper does not say. "all" is how
    DALLE-pytorch reads it. "first" counts a caption's end once and leaves out the pads behind
    it, which are certain: a tenth of the caption head's cost where most slots are empty."""

    def __post_init__(self) -> None:
        if self.num_layers < 1:
            raise ValueError(f"num_layers is {self.num_layers}; it must be at least 1")
        if self.width < HEAD_WIDTH or self.width % HEAD_WIDTH:
            raise ValueError(f"width is {self.width}; it must be a multiple of {HEAD_WIDTH}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be in [0, 1)")
        check_choice("head", self.head, ("split", "joint"))

    @property
    def num_heads(self) -> int:
        return self.width // HEAD_WIDTH


@dataclass(frozen=True, slots=True)
class Optim:
    """AdamW, its learning rate and the average of the weights (appendix B.2)."""

    learning_rate: float = 4.5e-4
    """Peak."""
    warmup_steps: int = 5000
    schedule: Literal["cosine", "plateau"] = "cosine"
    """After the warm-up: "plateau" is the paper's (halved when the training loss stops
    falling, five times at most), "cosine" falls to the same 1/32 by the end of the run."""
    beta1: float = 0.9
    beta2: float = 0.96
    epsilon: float = 1e-8
    weight_decay: float = 4.5e-2
    max_variance: float = 5.0
    """The running variance is clipped by value at this before it is used."""
    max_gradient_norm: float = 4.0
    ema_decay: float = 0.99
    """Per update of the average."""
    ema_every: int = 25
    """Steps between two updates of the average."""
    adam_dtype: Literal["fp32", "bf16"] = "fp32"
    """How both moments are kept. "bf16" halves their memory, so that 12 B parameters, their
    gradients and moments fit 100 GB; the paper keeps 16 bits too, in formats of its own
    (1-6-9 and 0-6-10, section 2.4), which no hardware computes in."""
    caption_dropout: float = 0.0
    """Share of training captions that are replaced by the empty one, for guidance in sampling
    (Ho & Salimans 2022 drop 10 to 20 %); the paper drops none."""

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")
        if not self.max_gradient_norm > 0:
            raise ValueError(f"max_gradient_norm is {self.max_gradient_norm}; it must be above 0")
        if not 0 <= self.caption_dropout < 1:
            raise ValueError(f"caption_dropout is {self.caption_dropout}; it must be in [0, 1)")
        check_choice("schedule", self.schedule, ("cosine", "plateau"))
        check_choice("adam_dtype", self.adam_dtype, ("fp32", "bf16"))


@dataclass(frozen=True, slots=True)
class Loop:
    """How long and how often; nothing here changes what one step computes, but batch and seed."""

    steps: int | None = None
    """Stop after this many updates."""
    minutes: float | None = None
    """Stop after this much training time, counted over all starts. The cosine schedule then
    ends at the step that will be reached by then, estimated anew at each log line: use `steps`
    where a run must be repeatable."""
    batch_size: int = 1024
    """Sequences per update."""
    micro_batch_size: int = 1024
    """Sequences per forward and backward pass; gradients are summed over a batch."""
    seed: int = 0
    """Decides the initial weights, the order of the data and dropout."""
    bpe_dropout: float | None = None
    """Captions are tokenised anew in each epoch, a merge skipped with this probability (0.1 in
    the paper, section 2.2, footnote 5). None: the ids as stored, a draw of it in each view."""
    log_every: int = 20
    checkpoint_every: int = 500
    eval_every: int = 500
    """Steps between two measurements of the held-out loss; the best one's weights are kept."""
    eval_pairs: int = 512
    """Most pairs per split that an evaluation reads."""
    keep_checkpoints: int = 2
    """The newest few stay."""
    keep_every: int = 0
    """Checkpoints at multiples of this many steps stay for good; 0: none does."""
    sample_every: int = 0
    """Steps between two sheets of samples; 0: none is drawn."""
    max_skipped_steps: int = 0
    """Updates that may be left out, over the whole run, because a loss or a gradient was not
    finite; one more stops the run. Those that `fp16` scaling leaves out do not count."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "micro_batch_size", "log_every", "checkpoint_every") + (
            ("eval_every", "eval_pairs", "keep_checkpoints")
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("keep_every", "sample_every", "max_skipped_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if self.steps is None and self.minutes is None:
            raise ValueError("a run needs an end: give --steps or --minutes")


PRECISIONS = ("fp32", "bf16", "fp16", "fp16_resblock")


@dataclass(frozen=True, slots=True)
class Execution:
    """How the computation is spread and carried out; the numbers agree within rounding."""

    precision: str = "fp32"
    """What the blocks compute in; the weights that the optimiser updates stay fp32."""
    shard: Literal["ddp", "fsdp", "hybrid"] = "ddp"
    """With several ranks: a whole model each, one model over all of them, or one over the
    ranks of each machine, as in the paper (section 2.5)."""
    compile: bool = False
    """Compile each block where it stands."""
    checkpoint_blocks: bool = False
    """Compute each block's activations again in the backward pass instead of keeping them."""
    powersgd_rank: int = 0
    """Rank of PowerSGD's compressed gradients (ddp only); 0: gradients go whole."""
    powersgd_start_step: int = 1000
    """Updates before compression begins (torch's default); the paper compresses from the first."""

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("shard", self.shard, ("ddp", "fsdp", "hybrid"))
        if self.powersgd_rank < 0:
            raise ValueError(f"powersgd_rank is {self.powersgd_rank}; it must be at least 0")
        if self.powersgd_start_step < 2:
            raise ValueError(
                f"powersgd_start_step is {self.powersgd_start_step}; it must be above 1"
            )
        if self.powersgd_rank and self.precision.startswith("fp16"):
            raise ValueError(
                f"powersgd_rank needs --precision bf16 or fp32, not {self.precision}: what it "
                "carries from update to update would be in units of scales that have changed since"
            )
        if self.powersgd_rank and self.shard != "ddp":
            raise ValueError(
                f"powersgd_rank needs --shard ddp, not {self.shard}: torch has it alone"
            )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError where `value` is none of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


PAPER_RANKS = {1920: 512, 2688: 640, 3968: 896}
"""PowerSGD ranks by width: the smallest without a loss gap (Ramesh et al. 2021, table 1)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One size, with the optimiser and batch that suit it."""

    network: Network
    optim: Optim = field(default_factory=Optim)
    batch_size: int = 1024
    micro_batch_size: int = 32
    steps: int = 430_000


PRESETS = {
    "tiny": Preset(
        Network(4, 192, dropout=0.1, counted_pads="first"),
        Optim(1.5e-3, warmup_steps=100, ema_decay=0.95, ema_every=5),
        batch_size=16,
        micro_batch_size=16,
        steps=2000,
    ),
    "small": Preset(Network(12, 768), Optim(6e-4, warmup_steps=2000), batch_size=256),
    "medium": Preset(Network(24, 1024), batch_size=512),
    "large": Preset(Network(24, 2048)),
    "dalle-12b": Preset(Network(), Optim(schedule="plateau")),
}
"""`dalle-12b` is the paper's; the others keep its proportions. `tiny` is for a demo on a CPU."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that decides a run's numbers, as `config.json` of its folder holds it."""

    network: Network
    layout: SequenceLayout
    optim: Optim
    loop: Loop
    execution: Execution = field(default_factory=Execution)

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Run":
        """Raises ValueError where a part or a field is missing or unknown."""
        try:
            return cls(
                network=Network(**document["network"]),
                layout=SequenceLayout(**document["layout"]),
                optim=Optim(**document["optim"]),
                loop=Loop(**document["loop"]),
                execution=Execution(**document["execution"]),
            )
        except (KeyError, TypeError) as err:
            raise ValueError(f"not a run of this version of pairmill: {err}") from err

    def differences(self, other: "Run") -> list[str]:
        """What makes `other` another run, as sentences; ends and intervals may differ."""
        mine, theirs = self.to_document(), other.to_document()
        return [
            f"{name} is {mine[part][name]} there, {value} here"
            for part in mine
            for name, value in theirs[part].items()
            if name not in MAY_CHANGE and mine[part][name] != value
        ]


MAY_CHANGE = frozenset(
    ("steps", "minutes", "log_every", "checkpoint_every", "eval_every", "eval_pairs")
    + ("keep_checkpoints", "keep_every", "sample_every", "max_skipped_steps", "micro_batch_size")
    + ("shard", "compile", "checkpoint_blocks")
)
"""Fields that a run may be taken up again with other values of: ends, intervals, machines."""
