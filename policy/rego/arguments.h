/* How built-ins check their arguments, report as OPA does, and make their results. */
#pragma once

#include "policy/rego/evaluation.h"
#include "policy/rego/json.h"
#include "policy/rego/number.h"

/* All false. The text is put behind the name of the built-in. */
bool type_error(struct call *c, const char *fmt, ...) PRINTF_LIKE(2);
bool builtin_error(struct call *c, const char *fmt, ...) PRINTF_LIKE(2);

/* Argument i (from 0) must have this type: "operand 1 must be string but got number". */
FALLIBLE want(struct call *c, const struct value *args, unsigned i, enum value_type type);
/* One of several types; `names` is what OPA lists, "array, set". */
FALLIBLE want_one_of(struct call *c, const struct value *args, unsigned i, unsigned types, const char *names);
#define TYPE_BIT(type) (1u << (type))

FALLIBLE want_integer(struct call *c, const struct value *args, unsigned i); /* of any size */
/* An integer, cut to 64 bits at either end. */
FALLIBLE want_int(struct call *c, const struct value *args, unsigned i, int64_t *out);
/* Elements of an array or set are strings. */
FALLIBLE want_strings(struct call *c, const struct value *args, unsigned i);
FALLIBLE elements_error(struct call *c, const struct value *args, unsigned i, const char *wanted, struct value got);

/* Work: false with the fault when the budget is used up. */
FALLIBLE charge(struct call *c, uint64_t steps);
FALLIBLE charge_bytes(struct call *c, size_t bytes);

static inline bool give(struct value *out, struct value v) { *out = v; return true; }
/* An open collection as the result; false when the arena is exhausted. */
static inline bool give_new(struct call *c, enum value_type type, size_t expected, struct value *out)
{
    *out = value_new(c->arena, type, expected);
    return value_is_defined(*out);
}
struct text_out text_for(struct call *c); /* a string that becomes the result */

/* Elements of an array or set; values of an object. */
static inline struct value element_at(struct value v, uint32_t i)
{
    return v.type == VALUE_OBJECT ? object_value(v, i) : array_at(v, i);
}
