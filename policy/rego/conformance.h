/* Runs cases in the form of OPA's conformance suite, as JSON. */
#pragma once

#include "policy/rego/policy.h"

enum conformance_outcome { CASE_PASSED, CASE_FAILED, CASE_SKIPPED };

struct conformance_report {
    enum conformance_outcome outcome;
    uint32_t                 index; /* of the case in its file */
    struct bytes             note;
    const char              *why;   /* failed: what differs; skipped: the built-in function that is missing */
};

struct conformance_tally {
    uint64_t passed;
    uint64_t failed;
    uint64_t skipped;
};

/*
 * Runs every case of one file and adds to `tally`. A case is skipped only when its modules are refused for a
 * built-in function that this engine lacks. Fails when the text is no case file.
 */
FALLIBLE conformance_run(struct bytes text, bool v0, struct conformance_tally *tally,
                         void (*report)(void *user, const struct conformance_report *r), void *user, struct err *err);
