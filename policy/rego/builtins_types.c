#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_TYPES(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

#define TYPE_TEST(name, wanted)                                                    \
    bool builtin_##name(struct call *c, const struct value *args, struct value *out) \
    {                                                                              \
        (void) c;                                                                  \
        return give(out, value_bool(args[0].type == (wanted)));                    \
    }
TYPE_TEST(is_array, VALUE_ARRAY)
TYPE_TEST(is_boolean, VALUE_BOOLEAN)
TYPE_TEST(is_null, VALUE_NULL)
TYPE_TEST(is_number, VALUE_NUMBER)
TYPE_TEST(is_object, VALUE_OBJECT)
TYPE_TEST(is_set, VALUE_SET)
TYPE_TEST(is_string, VALUE_STRING)

bool builtin_type_name(struct call *c, const struct value *args, struct value *out)
{
    (void) c;
    return give(out, value_of_text(value_type_name(args[0])));
}

#define CAST(name, wanted)                                                                \
    bool builtin_cast_##name(struct call *c, const struct value *args, struct value *out) \
    {                                                                                     \
        return want(c, args, 0, wanted) && give(out, args[0]);                            \
    }
CAST(boolean, VALUE_BOOLEAN)
CAST(null, VALUE_NULL)
CAST(object, VALUE_OBJECT)
CAST(string, VALUE_STRING)

static bool cast_elements(struct call *c, const struct value *args, enum value_type to, struct value *out)
{
    if (args[0].type == to)
        return give(out, args[0]);
    if (!want_one_of(c, args, 0, TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET), "array, set") ||
        !charge(c, args[0].in->n) || !charge(c, cost_of(args[0])) || !give_new(c, to, 0, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++) {
        struct value e = array_at(args[0], i);

        if (!(to == VALUE_ARRAY ? array_append(c->arena, *out, e) : set_add(c->arena, *out, e)))
            return false;
    }
    return true;
}

bool builtin_cast_array(struct call *c, const struct value *args, struct value *out)
{
    return cast_elements(c, args, VALUE_ARRAY, out);
}

bool builtin_cast_set(struct call *c, const struct value *args, struct value *out)
{
    return cast_elements(c, args, VALUE_SET, out);
}
