"""Every guard, how to take it out of a test process, and the tests that must then fail."""

import ipaddress
import os
from dataclasses import dataclass

import aiohttp
from aiohttp.client_proto import ResponseHandler

from tests.guard_removal import (
    Without,
    any_port,
    any_scheme,
    crowded,
    dropped_user,
    forgives,
    idle,
    invented_contact,
    says,
    told,
    unchecked_redirect,
    unguarded_dial,
    unlimited_cells,
    with_limit,
    with_setting,
)


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing that keeps harm away."""

    name: str
    target: str
    """Where it stands, as "package.module:Class.attribute"."""
    without: Without
    tests: tuple[str, ...]
    """Names for `finding.find_test`; every one must fail without the guard."""


HOSTILE = "test_ends_with_its_reason_and_leaves_the_others_alone"
CLIENT_SESSION = "pipelines.web.session:aiohttp.ClientSession"
WIDE_BYTES = 64 * 2**20

GUARDS: tuple[Guard, ...] = (
    Guard(
        "dial",
        "pipelines.web.session:GuardedSession._open_socket",
        unguarded_dial,
        (
            "test_blocks_a_name_that_leads_inside",
            "test_checks_the_address_that_it_dials_when_a_name_changes_its_answer",
        ),
    ),
    Guard(
        "literal",
        "pipelines.web.urls:_check_host",
        idle,
        ("test_urls.py::test_refuses", "test_asks_nobody"),
    ),
    Guard(
        "network list",
        "pipelines.web.addresses:is_public",
        says(True),
        ("test_addresses.py::test_refuses", "test_refuses_the_private_vectors_of_others"),
    ),
    Guard(
        "address inside",
        "pipelines.web.addresses:embedded_ipv4",
        says(()),
        ("test_refuses_a_refused_address_in_any_wrapping",),
    ),
    Guard(
        "range too wide",
        "pipelines.web.addresses:_allowed_network",
        lambda _original: ipaddress.ip_network,
        ("test_refuses_a_range_that_would_switch_the_guard_off",),
    ),
    Guard(
        "ports",
        "pipelines.web.addresses:AddressGuard.refusal",
        any_port,
        ("test_refuses_ports_that_no_web_server_needs",),
    ),
    Guard(
        "scheme",
        "pipelines.web.urls:normal_url",
        any_scheme,
        ("test_urls.py::test_refuses", "test_refuses_a_redirect"),
    ),
    Guard(
        "userinfo",
        "pipelines.web.urls:normal_url",
        dropped_user,
        ("test_urls.py::test_refuses",),
    ),
    Guard(
        "redirect",
        "pipelines.web.client:redirect_target",
        unchecked_redirect,
        (f"{HOSTILE}[/to_a_file]",),
    ),
    Guard(
        "contact",
        "pipelines.web.session:GuardedSession._open_socket",
        invented_contact,
        ("test_needs_a_contact_before_it_dials_outside",),
    ),
    Guard(
        "proxy",
        CLIENT_SESSION,
        told(trust_env=True),
        ("test_uses_no_proxy_of_the_environment",),
    ),
    Guard(
        "cookies",
        CLIENT_SESSION,
        told(cookie_jar=None),
        ("test_returns_no_cookie",),
    ),
    Guard(
        "certificates",
        "pipelines.web.session:aiohttp.TCPConnector",
        told(ssl=False),
        (
            "test_believes_no_authority_that_the_system_does_not_know",
            "test_follows_no_redirect_to_a_server_with_a_bad_certificate",
        ),
    ),
    Guard(
        "header size",
        CLIENT_SESSION,
        told(max_line_size=2**20, max_field_size=2**20),
        (f"{HOSTILE}[/huge_header]",),
    ),
    Guard(
        "header lines",
        CLIENT_SESSION,
        told(max_headers=2**20),
        (f"{HOSTILE}[/many_headers]",),
    ),
    Guard(
        "unasked answer",
        CLIENT_SESSION,
        told(response_class=aiohttp.ClientResponse),
        (
            "test_takes_no_answer_that_it_did_not_ask_for",
            "test_hears_a_few_interim_answers",
        ),
    ),
    Guard(
        "malformed body",
        "pipelines.web.session:StrictHandler",
        lambda _original: ResponseHandler,
        (
            f"{HOSTILE}[/late_bad_chunk]",
            "test_does_not_wait_for_the_rest_of_a_malformed_body",
        ),
    ),
    Guard(
        "deadline",
        "pipelines.web.session:GuardedSession.ask",
        with_limit(2, 4.0),
        ("test_cuts_off_at_the_deadline",),
    ),
    Guard(
        "body cap",
        "pipelines.web.client:read_picture",
        with_limit(1, WIDE_BYTES),
        ("test_stops_reading_at_the_cap", "test_reads_no_more_than_the_limit"),
    ),
    Guard(
        "encoding",
        "pipelines.web.bodies:refuse_encoding",
        idle,
        (f"{HOSTILE}[/gzip_bomb]", f"{HOSTILE}[/unknown_encoding]"),
    ),
    Guard(
        "status",
        "pipelines.web.bodies:refuse_status",
        idle,
        ("test_ends_with",),
    ),
    Guard(
        "header opt-out",
        "pipelines.web.bodies:refuse_optout",
        idle,
        (f"{HOSTILE}[/opted_out]", f"{HOSTILE}[/opted_out_redirect]"),
    ),
    Guard(
        "robots",
        "pipelines.web.robots:Robots.refuse",
        idle,
        (
            "test_obeys_a_disallow_before_the_picture_is_asked_for",
            "test_fetches_nothing_of_a_host_whose_file_cannot_be_had",
        ),
    ),
    Guard(
        "host circuit",
        "pipelines.web.hosts:HostGate._refuse_dead",
        idle,
        ("test_opens_the_circuit_of_a_host_that_has_died_and_tries_again_later",),
    ),
    Guard(
        "host delay",
        "pipelines.web.hosts:HostGate._delay",
        says(0.0),
        ("test_asks_an_unknown_host_once_a_second",),
    ),
    Guard(
        "host budget",
        "pipelines.web.hosts:HostGate._refuse_late",
        idle,
        ("test_defers_rows_whose_turn_would_come_too_late_at_once",),
    ),
    Guard(
        "opt-out list, URL",
        "pipelines.web.lists:Lists.refuse_url",
        idle,
        ("test_lists.py::test_refuses",),
    ),
    Guard(
        "opt-out list, digest",
        "pipelines.web.lists:Lists.refuse_bytes",
        forgives("optout_list"),
        ("test_refuses_bytes_by_digest",),
    ),
    Guard(
        "blocklist",
        "pipelines.web.lists:Lists.refuse_bytes",
        forgives("blocklist_hit"),
        ("test_refuses_bytes_by_digest",),
    ),
    Guard(
        "tombstones, URL",
        "pipelines.web.lists:Lists.refuse_url",
        forgives("tombstoned"),
        ("test_what_was_taken_down_is_refused_again",),
    ),
    Guard(
        "tombstones, digest",
        "pipelines.web.lists:Lists.refuse_bytes",
        forgives("tombstoned"),
        ("test_what_was_taken_down_is_refused_again",),
    ),
    Guard(
        "tombstones, rows",
        "pipelines.sources:bury_rows",
        lambda _original: lambda rows, _mask: rows,
        ("test_buries_what_was_taken_down_when_a_list_is_cut_again",),
    ),
    Guard(
        "half a purge",
        "pipelines.lock:_refuse_half_purged",
        idle,
        ("test_a_folder_whose_purge_was_broken_off_is_the_purges_alone",),
    ),
    Guard(
        "blocklist, look-alikes",
        "pipelines.web.lists:Lists.refuse_picture",
        idle,
        (
            "test_refuses_a_picture_that_looks_like_a_listed_one",
            "test_nor_of_one_that_another_program_has_fetched[phash]",
        ),
    ),
    Guard(
        "host concurrency",
        "pipelines.web.hosts:share_of",
        crowded,
        ("test_asks_a_few_at_a_time",),
    ),
    Guard(
        "places",
        "pipelines.web.client:Client.__init__",
        with_setting(total_concurrency=10_000),
        ("test_holds_no_more_bodies_than_there_are_places",),
    ),
    Guard(
        "redirect number",
        "pipelines.web.client:Client.__init__",
        with_setting(max_redirects=1_000),
        ("test_follows_as_many_redirects_as_the_limit_says",),
    ),
    Guard(
        "longest wait",
        "pipelines.web.client:Client.__init__",
        with_setting(max_retry_after_s=10**9),
        ("test_waits_for_no_ten_years",),
    ),
    Guard(
        "lookup deadline",
        "pipelines.web.resolver:CachingResolver.__init__",
        with_limit(1, 30.0),
        ("test_gives_up_on_a_silent_server_at_the_deadline",),
    ),
    Guard(
        "stored picture size",
        "pipelines.inputs.img2dataset_members:judge_body",
        with_limit(1, 2**40),
        ("test_size_decides",),
    ),
    Guard(
        "size of a picture at hand",
        "pipelines.inputs.stored_pictures:judge_body",
        with_limit(1, 2**40),
        ("test_the_size_of_a_picture_at_hand_decides",),
    ),
    Guard(
        "file names",
        "pipelines.inputs.plain_files:is_below",
        says(True),
        ("test_no_name_climbs_where_there_are_no_links_to_follow",),
    ),
    Guard(
        "file links",
        "pipelines.inputs.plain_files:leads_out",
        says(False),
        ("test_links_of_a_folder_are_rows_and_lead_nowhere",),
    ),
    Guard(
        "face boxes",
        "pipelines.fetch:are_sound",
        says(True),
        ("test_every_way_to_fetch_blurs_where_the_recipe_says_so_and_there_alone",),
    ),
    Guard(
        "picture format",
        "pipelines.imaging:sniff_format",
        lambda _original: lambda data: "tiff" if b"II*" in data[:8] else "jpeg",
        ("test_imaging.py::test_refuses",),
    ),
    Guard(
        "one parser",
        "pipelines.imaging:Image.open",
        told(formats=None),
        ("test_tries_no_other_parser_than_that_of_the_first_bytes",),
    ),
    Guard(
        "pixels",
        "pipelines.imaging:_check_size",
        idle,
        ("test_takes_as_many_pixels_as_the_limit_says",),
    ),
    Guard(
        "half pictures",
        "pipelines.imaging:ImageFile.LOAD_TRUNCATED_IMAGES",
        lambda _original: True,
        ("test_refuses_a_truncated_file_unless_every_pixel_is_there",),
    ),
    Guard(
        "decoding time",
        "pipelines.decoding.decoders:Decoders.__init__",
        with_limit(4, 3_600.0),
        ("test_a_hostile_picture_costs_one_row[hangs inside C]",),
    ),
    Guard(
        "decoding memory",
        "pipelines.decoding.decoders:Decoders.__init__",
        with_limit(5, 2**32),
        ("test_a_child_is_confined",),
    ),
    Guard(
        "decoder environment",
        "pipelines.decoding.decoders:_environment",
        lambda _original: lambda: dict(os.environ),
        ("test_a_child_is_confined",),
    ),
    Guard(
        "promised digest",
        "pipelines.fetching.session:FetchSession._check_hash",
        says(True),
        ("test_a_picture_that_was_swapped_since_it_was_listed",),
    ),
    Guard(
        "blocked row",
        "pipelines.fetch:settle",
        lambda _original: lambda pair, found: pair.update(found),
        ("test_nothing_stays_of_a_blocked_picture",),
    ),
    Guard(
        "books",
        "pipelines.publishing:check_books",
        idle,
        ("test_a_generation_whose_books_do_not_balance_is_not_published",),
    ),
    Guard(
        "table cell",
        "pipelines.inputs.source_tables:csv.field_size_limit",
        unlimited_cells,
        ("test_refuses_a_cell_beyond_it_as_an_unclosed_quotation_mark",),
    ),
)
