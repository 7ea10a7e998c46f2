#include "policy/rego/arguments.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 3, 0)))
static bool put_error(struct call *c, enum eval_code code, const char *fmt, va_list args)
{
    int n;

    c->fault->code = code;
    n              = snprintf(c->fault->text, sizeof c->fault->text, "%s: ", c->name);
    (void) vsnprintf(c->fault->text + n, sizeof c->fault->text - (size_t) n, fmt, args); /* a longer text is cut */
    return false;
}

bool type_error(struct call *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void) put_error(c, EVAL_TYPE_ERROR, fmt, args);
    va_end(args);
    return false;
}

bool builtin_error(struct call *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void) put_error(c, EVAL_BUILTIN_ERROR, fmt, args);
    va_end(args);
    return false;
}

FALLIBLE want(struct call *c, const struct value *args, unsigned i, enum value_type type)
{
    if (args[i].type == type)
        return true;
    return type_error(c, "operand %u must be %s but got %s", i + 1, value_type_name((struct value){ .type = (uint8_t) type }),
                      value_type_name(args[i]));
}

FALLIBLE want_one_of(struct call *c, const struct value *args, unsigned i, unsigned types, const char *names)
{
    if (types & TYPE_BIT(args[i].type))
        return true;
    return type_error(c, "operand %u must be one of {%s} but got %s", i + 1, names, value_type_name(args[i]));
}

FALLIBLE want_integer(struct call *c, const struct value *args, unsigned i)
{
    if (!want(c, args, i, VALUE_NUMBER))
        return false;
    if (!number_is_integer(args[i]))
        return type_error(c, "operand %u must be integer number but got floating-point number", i + 1);
    return true;
}

FALLIBLE want_int(struct call *c, const struct value *args, unsigned i, int64_t *out)
{
    if (!want_integer(c, args, i))
        return false;
    if (!number_to_int64(args[i], out))
        *out = number_compare(args[i], value_int(0)) < 0 ? INT64_MIN : INT64_MAX;
    return true;
}

FALLIBLE elements_error(struct call *c, const struct value *args, unsigned i, const char *wanted, struct value got)
{
    const char *of = value_type_name(args[i]);

    return type_error(c, "operand %u must be %s of %s but got %s containing %s", i + 1, of, wanted, of, value_type_name(got));
}

FALLIBLE want_strings(struct call *c, const struct value *args, unsigned i)
{
    for (uint32_t k = 0; k < value_count(args[i]); k++)
        if (array_at(args[i], k).type != VALUE_STRING)
            return elements_error(c, args, i, "strings", array_at(args[i], k));
    return true;
}

FALLIBLE charge(struct call *c, uint64_t steps)
{
    return evaluation_charge(c->evaluation, steps);
}

FALLIBLE charge_bytes(struct call *c, size_t bytes)
{
    return bytes < 8 || evaluation_charge(c->evaluation, bytes / 8);
}

struct text_out text_for(struct call *c)
{
    return text_out_new(c->arena, VALUE_TEXT_MAX);
}
