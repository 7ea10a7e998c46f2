/* Inside of the regex engine: the tree a pattern is parsed to, and the program that runs. */
#pragma once

#include "policy/rego/regex.h"

struct range {
    uint32_t low, high;
};

struct class {
    struct range *at;     /* sorted, apart */
    uint32_t      n;
    bool          fold;   /* a code point is in when any that differs only in case is */
    bool          negated;
    uint64_t      ascii[2]; /* the answer for code points below 128 */
};

enum node_kind {
    NODE_EMPTY, NODE_RUNE, NODE_CLASS, NODE_ANY, NODE_ANY_BUT_NEWLINE, NODE_ASSERT, NODE_GROUP, NODE_REPEAT, NODE_CONCAT, NODE_EITHER
};

enum assertion { ASSERT_LINE_START, ASSERT_LINE_END, ASSERT_TEXT_START, ASSERT_TEXT_END, ASSERT_WORD, ASSERT_NO_WORD };

#define REPEAT_FOREVER UINT32_MAX

struct node {
    enum node_kind kind;
    uint32_t       value;     /* rune, assertion, group number */
    uint32_t       min, max;  /* REPEAT */
    bool           greedy;
    struct class  *set;
    struct node   *sub;       /* first of the parts */
    struct node   *next;      /* the next part of the same whole */
};

/* What a pattern is parsed to. */
struct regex_tree {
    struct node  *root;
    uint32_t      n_groups;
    struct bytes *names; /* of the groups; empty: none */
};

FALLIBLE regex_parse(struct arena *a, struct bytes pattern, struct regex_tree *out, struct err *err);

enum regex_op { RE_RUNE, RE_CLASS, RE_ANY, RE_ANY_BUT_NEWLINE, RE_ASSERT, RE_SAVE, RE_SPLIT, RE_JUMP, RE_MATCH };

struct regex_code {
    uint8_t             op;
    uint32_t            value; /* rune, assertion, slot */
    uint32_t            to;    /* SPLIT: tried first; JUMP */
    uint32_t            other; /* SPLIT: tried second */
    const struct class *set;
};

struct regex {
    struct regex_code *code;
    uint32_t           n_code;
    uint32_t           n_groups;
    struct bytes      *names;
    bool               anchored;  /* every match starts where the text does */
    bool               has_first; /* every match starts with one of these bytes */
    uint64_t           first[4];
};

bool class_has(const struct class *c, uint32_t rune);
