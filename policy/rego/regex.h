/*
 * A matcher for RE2 syntax, as Go's regexp package takes it: leftmost-first, UTF-8, time linear in the text.
 * No back-references and no look-around, so no input can make it slow: the work of one match is at most
 * instructions times code points, and regex_cost tells it before.
 */
#pragma once

#include "policy/rego/arena.h"

enum {
    REGEX_PATTERN_MAX  = 8 << 10,
    REGEX_PROGRAM_MAX  = 20000,   /* instructions */
    REGEX_RANGES_MAX   = 40000,   /* of all classes */
    REGEX_REPEAT_MAX   = 1000,    /* {n}, also nested ones multiplied */
    REGEX_DEPTH_MAX    = 250,     /* nested groups */
    REGEX_GROUPS_MAX   = 100
};

struct regex;

/*
 * Compiles a pattern, which must live as long as the result, into the arena. Fails MALFORMED with Go's words for the cause, LIMIT beyond the bounds
 * above and when the arena is full: a limit must not be taken for "no match".
 */
FALLIBLE regex_compile(struct arena *a, struct bytes pattern, const struct regex **out, struct err *err);

uint32_t regex_groups(const struct regex *re); /* with group 0, the whole match */
uint32_t regex_group_named(const struct regex *re, struct bytes name); /* its number; regex_groups(re): none */

/* A text that is searched. Scratch memory is taken from the arena and given back. */
struct regex_input {
    struct arena *arena;
    struct bytes  text;
    uint64_t      budget; /* units of work left; about five nanoseconds each */
};

/*
 * Searches at or behind `from`. `slots` gets start and end of n_groups groups, as offsets or REGEX_NONE; with
 * n_groups 0 the first way to match is enough and nothing is written. False when the budget is used up or the
 * arena is full, which then is failed and says so: that is no answer.
 */
#define REGEX_NONE SIZE_MAX
FALLIBLE regex_search(const struct regex *re, struct regex_input *in, size_t from, uint32_t n_groups, size_t *slots, bool *found);
