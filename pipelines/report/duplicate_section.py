"""The page's parts on pictures that look alike: near duplicates, and evaluation sets."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.eval_overlap import EvalOverlap, Nearest
from pipelines.report.galleries import render_example, render_image
from pipelines.report.near_duplicates import Cluster, Member, NearDuplicates
from pipelines.report.tables import count_or_unknown, render_table
from pipelines.report.words import escape_within, show_count

MAX_NAME_BYTES = 200


def render_near_duplicates(found: NearDuplicates) -> str:
    """How many clusters there are, and the largest with their keepers marked."""
    told = {name: count_or_unknown(found.figures.get(name)) for name in FIGURES}
    clusters = "".join(map(_render_cluster, found.largest))
    return (
        f"<p>{told['clusters']} clusters of pictures whose perceptual hashes differ in at most "
        f"{told['max_distance']} bits, joined where they share a picture; {told['pairs']} pairs of "
        f"hashes are so close and not equal. The largest cluster has {told['largest']} pictures, "
        f"of which the two least alike differ in {told['diameter_of_largest']} bits. The keeper of "
        f"each stands for the others, which a recipe drops or only lists.</p>{clusters}"
    )


FIGURES = ("clusters", "max_distance", "pairs", "largest", "diameter_of_largest")


def _render_cluster(cluster: Cluster) -> str:
    left = cluster.rows - len(cluster.members)
    more = f", {show_count(left)} more" if left else ""
    members = "".join(map(_render_member, cluster.members))
    return (
        f'<h3 class="cluster">{show_count(cluster.rows)} pictures{more}</h3>'
        f'<ul class="gallery cluster">{members}</ul>'
    )


def _render_member(member: Member) -> str:
    kind = "keeper" if member.kept else "other"
    words = "keeper" if member.kept else _show_bits(member.distance)
    note = f'<span class="badge {kind}">{words}</span>'
    return f'<li class="{kind}">{render_example(member.example, note)}</li>'


def _show_bits(distance: int) -> str:
    return "1 bit away" if distance == 1 else f"{distance} bits away"


def render_eval_overlap(found: EvalOverlap) -> str:
    """How many evaluation pictures have a likeness among the pairs, and the nearest ones."""
    return (
        "<p>Pictures of evaluation sets by how many bits of the perceptual hash lie between "
        "each and the pair that is most like it. What a build does about them is in its "
        f"recipe.</p>{_render_sets(found.sets)}"
        "<h3>The nearest ones</h3><p>Left the evaluation picture, right the pair.</p>"
        f'<ul class="gallery pairs">{"".join(map(_render_nearest, found.nearest))}</ul>'
    )


def _render_sets(sets: Sequence[Mapping[str, Any]]) -> str:
    distances = sorted({int(bits) for one in sets for bits in one.get("per_distance", {})})
    heads = ("set", "pictures", "unreadable", "overlapping", *map(_head, distances))
    rows = [
        (
            _name(str(one.get("set", ""))),
            count_or_unknown(one.get("pictures")),
            count_or_unknown(one.get("refused")),
            count_or_unknown(one.get("overlapping")),
            *(show_count(one.get("per_distance", {}).get(str(bits), 0)) for bits in distances),
        )
        for one in sets
    ]
    return render_table("Evaluation sets", heads, rows)


def _head(distance: int) -> str:
    return "1 bit" if distance == 1 else f"{distance} bits"


def _name(name: str) -> str:
    return f'<bdi dir="auto">{escape_within(name, MAX_NAME_BYTES)}</bdi>'


def _render_nearest(nearest: Nearest) -> str:
    alike = "" if nearest.similarity is None else f", similarity {nearest.similarity:.3f}"
    picture = render_image(nearest.thumbnail, "evaluation picture")
    return (
        '<li><div class="twins">'
        f'<figure><div class="picture">{picture}</div><figcaption>'
        f"<code>{_name(nearest.set)}</code> {_name(nearest.picture)}</figcaption></figure>"
        f"{render_example(nearest.pair)}</div>"
        f'<span class="badge other">{_show_bits(nearest.distance)}{alike}</span></li>'
    )
