/* Building the character classes of regular expressions. */
#pragma once

#include "policy/rego/regex_program.h"

/* Collects ranges; `failed` sticks when the arena or REGEX_RANGES_MAX is passed. */
struct class_builder {
    struct arena *arena;
    struct range *at;
    uint32_t      n, room;
    uint32_t     *budget; /* ranges left for the whole pattern */
    bool          failed;
};

void class_add(struct class_builder *b, uint32_t low, uint32_t high);
void class_add_negated(struct class_builder *b, const struct range *ranges, size_t n); /* sorted */
bool class_add_perl(struct class_builder *b, char letter);                             /* d D s S w W; false: none of these */
bool class_add_posix(struct class_builder *b, struct bytes name, bool negated);        /* alpha …; false: unknown */
bool class_add_unicode(struct class_builder *b, struct bytes name, bool negated);      /* L, Lu, Greek, Any; false: unknown */
struct class *class_done(struct class_builder *b, bool fold, bool negated);            /* NULL when failed */
