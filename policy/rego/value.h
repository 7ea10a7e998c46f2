/* Rego values: 16 bytes each, ordered and compared as OPA does; composites live in an arena. */
#pragma once

#include "policy/rego/arena.h"

/* In the order in which values of different types compare. UNDEFINED is absence, never an element. */
#define VALUE_TYPES(X)               \
    X(VALUE_UNDEFINED, "undefined")  \
    X(VALUE_NULL,      "null")       \
    X(VALUE_BOOLEAN,   "boolean")    \
    X(VALUE_NUMBER,    "number")     \
    X(VALUE_STRING,    "string")     \
    X(VALUE_ARRAY,     "array")      \
    X(VALUE_OBJECT,    "object")     \
    X(VALUE_SET,       "set")
#define VALUE_ENUM(name, text) name,
enum value_type { VALUE_TYPES(VALUE_ENUM) };
#undef VALUE_ENUM

enum {
    VALUE_DEPTH_MAX    = 256,     /* nesting of one value; bounds every recursion over values */
    VALUE_ELEMENTS_MAX = 1 << 20, /* elements of one collection */
    VALUE_TEXT_MAX     = 16 << 20 /* bytes of one string */
};

/*
 * A number is an integer in `integer`, or, when `is_decimal`, the JSON number text it was written as
 * (`1.0`, `1e2`, integers beyond 64 bits). 1 and 1.0 are equal; the text is kept for printing.
 */
struct value {
    uint8_t  type;       /* enum value_type */
    bool     is_decimal; /* numbers: in `text`, not in `integer` */
    uint32_t len;        /* bytes of `text` */
    union {
        bool                truth;
        int64_t             integer;
        const char         *text; /* UTF-8, not terminated, may be part of a longer text */
        struct collection  *in;   /* array, object, set: read it through the functions below */
    };
};

/* Sorted (sets: elements, objects: key and value alternating by key) unless `open`. */
struct collection {
    uint32_t      n;       /* elements; for objects: pairs */
    uint16_t      depth;   /* levels below and with this one; valid when not open */
    uint8_t       width;   /* values per element: 2 for objects */
    bool          open;    /* still being built: may change in place; large ones are kept in `runs` */
    uint64_t      nodes;   /* values in the whole tree, saturating; valid when not open */
    struct value *at;
    uint32_t      room;    /* elements that fit at `at` */
    uint32_t      n_runs;  /* open, large sets and objects: sorted runs instead of `at` */
    uint32_t      runs_room;
    struct run   *runs;
};

static inline struct value value_undefined(void) { return (struct value){ 0 }; }
static inline struct value value_null(void) { return (struct value){ .type = VALUE_NULL }; }
static inline struct value value_bool(bool b) { return (struct value){ .type = VALUE_BOOLEAN, .truth = b }; }
static inline struct value value_int(int64_t i) { return (struct value){ .type = VALUE_NUMBER, .integer = i }; }
struct value value_text(const char *at, size_t len);    /* borrows; len at most VALUE_TEXT_MAX */
struct value value_of_text(const char *text);           /* borrows a C text */
static inline bool value_is(struct value v, enum value_type type) { return v.type == type; }
static inline bool value_is_composite(struct value v) { return v.type >= VALUE_ARRAY; }
static inline bool value_is_defined(struct value v) { return v.type != VALUE_UNDEFINED; }
static inline bool value_is_false(struct value v) { return v.type == VALUE_BOOLEAN && !v.truth; }
bool         value_is_named(struct value v, const char *text); /* a string with this text */
const char  *value_type_name(struct value v);
uint64_t     value_nodes(struct value v);                /* 1 for scalars */

/* -1, 0, 1. Both values are closed (see value_close). Cost: at most the smaller value_nodes. */
int          value_compare(struct value a, struct value b);
static inline bool value_equal(struct value a, struct value b) { return value_compare(a, b) == 0; }
uint64_t     value_hash(struct value v);                 /* equal values have equal hashes; composites are sampled */

/*
 * Building. A fresh collection is open: these change it in place, and other holders see the change. They
 * return false when the arena is exhausted or a limit above is passed (arena_ok tells). Elements and keys
 * must be closed; a value of an object may be open and change later.
 */
struct value value_new(struct arena *a, enum value_type type, size_t expected); /* UNDEFINED when exhausted */
FALLIBLE     array_append(struct arena *a, struct value array, struct value element);
FALLIBLE     set_add(struct arena *a, struct value set, struct value element);
FALLIBLE     object_put(struct arena *a, struct value object, struct value key, struct value v); /* replaces */
FALLIBLE     value_close(struct arena *a, struct value v); /* sorts and seals it, and what is open below it */
struct value value_reopened(struct arena *a, struct value v); /* an open shallow copy; UNDEFINED when exhausted */
struct value value_copy(struct arena *a, struct value v); /* deep, into another arena; UNDEFINED when exhausted */

/* Reading. UNDEFINED when there is no such element. */
struct value value_get(struct value of, struct value key); /* array index, object value, set element */
struct value object_get_text(struct value object, const char *key);
bool         set_has(struct value set, struct value element);
struct value *collection_find(const struct collection *c, struct value key); /* its element (key and value); NULL */
static inline uint32_t value_count(struct value v) { return v.in->n; } /* composites only */
static inline struct value array_at(struct value array, uint32_t i) { return array.in->at[i]; }
static inline struct value object_key(struct value o, uint32_t i) { return o.in->at[2 * (size_t) i]; } /* closed */
static inline struct value object_value(struct value o, uint32_t i) { return o.in->at[2 * (size_t) i + 1]; }
