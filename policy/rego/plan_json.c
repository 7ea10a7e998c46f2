#include "policy/rego/plan_json.h"

#include <string.h>

#include "policy/rego/builtins.h"
#include "policy/rego/number.h"

enum { LOCALS_MAX = 65535, STATIC_STRINGS_MAX = 1 << 20 };

struct reading {
    struct plan *plan;
    struct value functions; /* object: name to index */
    struct value callees;   /* object: name of a built-in to index */
    uint32_t     n_strings; /* constants 0 … n - 1 */
    uint32_t     truth[2];  /* constants false and true */
    uint32_t     n_locals;  /* of the function being read */
    uint8_t     *base;      /* for each of its locals: found by references that start at data */
    struct err  *err;
};

static bool wrong(struct reading *r, const char *what)
{
    return fail_with(r->err, ERR_MALFORMED, "plan: %s", what);
}

static bool full(struct reading *r)
{
    return fail_with(r->err, ERR_LIMIT, "plan: memory");
}

static bool read_index(struct reading *r, struct value of, const char *key, uint32_t limit, uint32_t *out)
{
    struct value v = object_get_text(of, key);

    if (v.type != VALUE_NUMBER || v.is_decimal || v.integer < 0 || v.integer >= (int64_t) limit)
        return fail_with(r->err, ERR_MALFORMED, "plan: %s out of range", key);
    *out = (uint32_t) v.integer;
    return true;
}

static bool note_local(struct reading *r, uint32_t local)
{
    if (local >= r->n_locals)
        r->n_locals = local + 1;
    return true;
}

static bool read_local(struct reading *r, struct value of, const char *key, uint32_t *out)
{
    return read_index(r, of, key, LOCALS_MAX, out) && note_local(r, *out);
}

static bool operand_of(struct reading *r, struct value v, struct plan_operand *out)
{
    struct value type = object_get_text(v, "type"), truth;
    uint32_t     index;

    if (v.type == VALUE_NUMBER && !v.is_decimal && v.integer >= 0 && v.integer < LOCALS_MAX) {
        *out = plan_local((uint32_t) v.integer);
        return note_local(r, out->index);
    }
    if (value_is_named(type, "local")) {
        if (!read_local(r, v, "value", &index))
            return false;
        *out = plan_local(index);
        return true;
    }
    if (value_is_named(type, "string_index")) {
        if (!read_index(r, v, "value", r->n_strings, &index))
            return false;
        *out = plan_constant(index);
        return true;
    }
    truth = object_get_text(v, "value");
    if (!value_is_named(type, "bool") || truth.type != VALUE_BOOLEAN)
        return wrong(r, "unknown operand");
    *out = plan_constant(r->truth[truth.truth]);
    return true;
}

static bool read_operand(struct reading *r, struct value of, const char *key, struct plan_operand *out)
{
    return operand_of(r, object_get_text(of, key), out);
}

static bool read_operands(struct reading *r, struct value list, struct plan_operand **out, uint32_t *n)
{
    if (list.type == VALUE_NULL)
        return true;
    if (list.type != VALUE_ARRAY)
        return wrong(r, "operands are no array");
    *n   = value_count(list);
    *out = plan_operands(r->plan, *n);
    if (!*out)
        return full(r);
    for (uint32_t i = 0; i < *n; i++)
        if (!operand_of(r, array_at(list, i), &(*out)[i]))
            return false;
    return true;
}

static bool read_blocks(struct reading *r, struct value list, struct plan_block **out);

static bool read_one_block(struct reading *r, struct value v, struct plan_block **out);

/* Which fields a statement has; `a` and `b` are its operands, `target` what it writes. */
struct form {
    const char  *name;
    enum plan_op op;
    const char  *a, *b, *target, *target2;
    bool         a_is_local, b_is_local;
};

static const struct form forms[] = {
    { "ArrayAppendStmt", PLAN_ARRAY_APPEND, "value", NULL, "array", NULL, false, false },
    { "AssignIntStmt", PLAN_ASSIGN, NULL, NULL, "target", NULL, false, false },
    { "AssignVarOnceStmt", PLAN_ASSIGN_ONCE, "source", NULL, "target", NULL, false, false },
    { "AssignVarStmt", PLAN_ASSIGN, "source", NULL, "target", NULL, false, false },
    { "BlockStmt", PLAN_BLOCK, NULL, NULL, NULL, NULL, false, false },
    { "BreakStmt", PLAN_BREAK, NULL, NULL, NULL, NULL, false, false },
    { "CallDynamicStmt", PLAN_CALL_DYNAMIC, NULL, NULL, "result", NULL, false, false },
    { "CallStmt", PLAN_CALL, NULL, NULL, "result", NULL, false, false },
    { "DotStmt", PLAN_DOT, "source", "key", "target", NULL, false, false },
    { "EqualStmt", PLAN_EQUAL, "a", "b", NULL, NULL, false, false },
    { "IsArrayStmt", PLAN_IS_ARRAY, "source", NULL, NULL, NULL, false, false },
    { "IsDefinedStmt", PLAN_IS_DEFINED, "source", NULL, NULL, NULL, true, false },
    { "IsObjectStmt", PLAN_IS_OBJECT, "source", NULL, NULL, NULL, false, false },
    { "IsSetStmt", PLAN_IS_SET, "source", NULL, NULL, NULL, false, false },
    { "IsUndefinedStmt", PLAN_IS_UNDEFINED, "source", NULL, NULL, NULL, true, false },
    { "LenStmt", PLAN_LEN, "source", NULL, "target", NULL, false, false },
    { "MakeArrayStmt", PLAN_MAKE_ARRAY, NULL, NULL, "target", NULL, false, false },
    { "MakeNullStmt", PLAN_ASSIGN, NULL, NULL, "target", NULL, false, false },
    { "MakeNumberIntStmt", PLAN_ASSIGN, NULL, NULL, "target", NULL, false, false },
    { "MakeNumberRefStmt", PLAN_ASSIGN, NULL, NULL, "target", NULL, false, false },
    { "MakeObjectStmt", PLAN_MAKE_OBJECT, NULL, NULL, "target", NULL, false, false },
    { "MakeSetStmt", PLAN_MAKE_SET, NULL, NULL, "target", NULL, false, false },
    { "NopStmt", PLAN_NOP, NULL, NULL, NULL, NULL, false, false },
    { "NotEqualStmt", PLAN_NOT_EQUAL, "a", "b", NULL, NULL, false, false },
    { "NotStmt", PLAN_NOT, NULL, NULL, NULL, NULL, false, false },
    { "ObjectInsertOnceStmt", PLAN_OBJECT_INSERT_ONCE, "key", "value", "object", NULL, false, false },
    { "ObjectInsertStmt", PLAN_OBJECT_INSERT, "key", "value", "object", NULL, false, false },
    { "ObjectMergeStmt", PLAN_OBJECT_MERGE, "a", "b", "target", NULL, true, true },
    { "ResetLocalStmt", PLAN_RESET, NULL, NULL, "target", NULL, false, false },
    { "ResultSetAddStmt", PLAN_RESULT_ADD, "value", NULL, NULL, NULL, true, false },
    { "ReturnLocalStmt", PLAN_RETURN, "source", NULL, NULL, NULL, true, false },
    { "ScanStmt", PLAN_SCAN, "source", NULL, "key", "value", true, false },
    { "SetAddStmt", PLAN_SET_ADD, "value", NULL, "set", NULL, false, false },
    { "WithStmt", PLAN_WITH, "value", NULL, "local", NULL, false, false },
};

static const struct form *form_of(struct value type)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (value_is_named(type, forms[i].name))
            return &forms[i];
    return NULL;
}

static bool read_number_ref(struct reading *r, struct value v, struct plan_operand *out)
{
    uint32_t     index;
    struct value number, text;

    if (!read_index(r, v, "Index", r->n_strings, &index))
        return false;
    text = r->plan->constants[index];
    if (!number_read(text.text, text.len, &number, r->err))
        return context(r->err, "plan");
    *out = plan_constant(plan_add_constant(r->plan, number));
    return true;
}

/* The value that AssignInt and the Make… statements of scalars assign. */
static bool read_scalar(struct reading *r, struct value type, struct value v, struct plan_operand *out)
{
    struct value number;

    if (value_is_named(type, "MakeNumberRefStmt"))
        return read_number_ref(r, v, out);
    number = value_is_named(type, "MakeNullStmt") ? value_null() : object_get_text(v, "value");
    if (number.type != VALUE_NULL && number.type != VALUE_NUMBER)
        return wrong(r, "number wanted");
    *out = plan_constant(plan_add_constant(r->plan, number));
    return true;
}

static bool read_callee(struct reading *r, struct value v, struct plan_stmt *s)
{
    struct value name = object_get_text(v, "func"), found = value_get(r->functions, name);

    s->callee = PLAN_FUNCTION;
    if (!value_is_defined(found)) {
        s->callee = PLAN_BUILTIN;
        found     = value_get(r->callees, name);
    }
    if (found.type != VALUE_NUMBER)
        return wrong(r, "call of an unknown function");
    s->index = (uint32_t) found.integer;
    return true;
}

static bool read_path(struct reading *r, struct value list, struct plan_stmt *s)
{
    if (list.type == VALUE_NULL || list.type == VALUE_UNDEFINED)
        return true;
    if (s->op == PLAN_CALL_DYNAMIC)
        return read_operands(r, list, &s->path, &s->n_path);
    if (!read_operands(r, list, &s->path, &s->n_path))
        return false;
    for (uint32_t i = 0; i < s->n_path; i++) {
        if (s->path[i].is_constant || s->path[i].index >= r->n_strings)
            return wrong(r, "path of a with");
        s->path[i].is_constant = true; /* plain numbers here are static strings */
    }
    return true;
}

static bool read_rest(struct reading *r, struct value v, struct plan_stmt *s)
{
    switch ((int) s->op) {
    case PLAN_BREAK:
        return read_index(r, v, "index", UINT32_MAX, &s->depth);
    case PLAN_BLOCK:
        return read_blocks(r, object_get_text(v, "blocks"), &s->blocks);
    case PLAN_NOT:
    case PLAN_SCAN:
        return read_one_block(r, object_get_text(v, "block"), &s->blocks);
    case PLAN_WITH:
        return read_path(r, object_get_text(v, "path"), s) && read_one_block(r, object_get_text(v, "block"), &s->blocks);
    case PLAN_CALL:
        return read_callee(r, v, s) && read_operands(r, object_get_text(v, "args"), &s->args, &s->n_args);
    case PLAN_CALL_DYNAMIC:
        return read_path(r, object_get_text(v, "path"), s) && read_operands(r, object_get_text(v, "args"), &s->args, &s->n_args);
    default:
        return true;
    }
}

static bool read_stmt(struct reading *r, struct value json, struct plan_block *in)
{
    struct value       type = object_get_text(json, "type"), v = object_get_text(json, "stmt");
    const struct form *form = form_of(type);
    struct plan_stmt  *s;

    if (!form)
        return wrong(r, "unknown statement");
    s = plan_emit(r->plan, in, form->op);
    if (form->a && !read_operand(r, v, form->a, &s->a))
        return false;
    if (form->b && !read_operand(r, v, form->b, &s->b))
        return false;
    if ((form->a_is_local && s->a.is_constant) || (form->b_is_local && s->b.is_constant))
        return wrong(r, "local wanted");
    if (form->target && !read_local(r, v, form->target, &s->target))
        return false;
    if (form->target2 && !read_local(r, v, form->target2, &s->target2))
        return false;
    if (form->op == PLAN_DOT && !s->a.is_constant && (s->a.index == 1 || r->base[s->a.index])) {
        s->op              = PLAN_DOT_BASE;
        r->base[s->target] = true;
    }
    if (form->op == PLAN_ASSIGN && !form->a)
        return read_scalar(r, type, v, &s->a);
    return read_rest(r, v, s);
}

static bool read_one_block(struct reading *r, struct value v, struct plan_block **out)
{
    struct value stmts = object_get_text(v, "stmts");

    *out = plan_block_new(r->plan);
    if (stmts.type == VALUE_NULL)
        return true;
    if (stmts.type != VALUE_ARRAY)
        return wrong(r, "block without statements");
    for (uint32_t i = 0; i < value_count(stmts); i++)
        if (!read_stmt(r, array_at(stmts, i), *out))
            return false;
    return true;
}

static bool read_blocks(struct reading *r, struct value list, struct plan_block **out)
{
    if (list.type == VALUE_NULL)
        return true;
    if (list.type != VALUE_ARRAY)
        return wrong(r, "blocks are no array");
    for (uint32_t i = 0; i < value_count(list); i++) {
        if (!read_one_block(r, array_at(list, i), out))
            return false;
        out = &(*out)->next;
    }
    return true;
}

static bool read_params(struct reading *r, struct value list, struct plan_function *f)
{
    uint32_t *params = arena_take(r->plan->memory, value_count(list) * sizeof *params);

    if (!params)
        return full(r);
    for (uint32_t i = 0; i < value_count(list); i++) {
        struct plan_operand o;

        if (!operand_of(r, array_at(list, i), &o))
            return false;
        params[i] = o.index;
    }
    f->params   = params;
    f->n_params = value_count(list);
    return true;
}

static bool read_function(struct reading *r, struct value v, struct plan_function *f)
{
    struct value params = object_get_text(v, "params");

    *f = (struct plan_function){ .name = object_get_text(v, "name"), .path = object_get_text(v, "path") };
    if (f->name.type != VALUE_STRING || params.type != VALUE_ARRAY)
        return wrong(r, "function without name or parameters");
    r->n_locals = 0;
    memset(r->base, 0, LOCALS_MAX);
    if (!read_params(r, params, f))
        return false;
    f->is_function = f->n_params > 2;
    if (!read_blocks(r, object_get_text(v, "blocks"), &f->blocks))
        return false;
    f->n_locals = r->n_locals;
    return true;
}

static bool read_statics(struct reading *r, struct value statics)
{
    struct value strings = object_get_text(statics, "strings"), names = object_get_text(statics, "builtin_funcs");

    for (uint32_t i = 0; strings.type == VALUE_ARRAY && i < value_count(strings); i++) {
        struct value s = array_at(strings, i);

        if (s.type == VALUE_OBJECT)
            s = object_get_text(s, "value");
        if (s.type != VALUE_STRING)
            return wrong(r, "static string wanted");
        (void) plan_add_constant(r->plan, s);
        r->n_strings++;
    }
    r->truth[false] = plan_add_constant(r->plan, value_bool(false));
    r->truth[true]  = plan_add_constant(r->plan, value_bool(true));
    for (uint32_t i = 0; names.type == VALUE_ARRAY && i < value_count(names); i++) {
        struct value name = array_at(names, i);
        uint32_t     index;

        if (name.type == VALUE_OBJECT)
            name = object_get_text(name, "name");
        if (name.type != VALUE_STRING)
            return wrong(r, "name of a built-in wanted");
        if (!builtin_find(name, &index))
            return fail_with(r->err, ERR_UNSUPPORTED, "plan: built-in %.*s", (int) name.len, name.text);
        if (!object_put(r->plan->memory, r->callees, name, value_int(index)))
            return full(r);
    }
    return true;
}

static bool list_functions(struct reading *r, struct value list)
{
    for (uint32_t i = 0; list.type == VALUE_ARRAY && i < value_count(list); i++) {
        struct value name = object_get_text(array_at(list, i), "name");

        if (name.type != VALUE_STRING)
            return wrong(r, "function without a name");
        if (!object_put(r->plan->memory, r->functions, name, value_int(i)))
            return full(r);
    }
    return value_close(r->plan->memory, r->functions) || full(r);
}

static bool read_queries(struct reading *r, struct value list)
{
    for (uint32_t i = 0; list.type == VALUE_ARRAY && i < value_count(list); i++) {
        struct plan_query q = { .name = object_get_text(array_at(list, i), "name") };

        r->n_locals = 2;
        memset(r->base, 0, LOCALS_MAX);
        if (!read_blocks(r, object_get_text(array_at(list, i), "blocks"), &q.blocks))
            return false;
        q.n_locals = r->n_locals;
        (void) plan_add_query(r->plan, q);
    }
    return true;
}

FALLIBLE plan_json_read(struct value json, struct plan *out, struct err *err)
{
    struct reading r     = { .plan = out, .err = err };
    struct value   funcs = object_get_text(object_get_text(json, "funcs"), "funcs");

    r.base      = arena_take(out->memory, LOCALS_MAX);
    r.functions = value_new(out->memory, VALUE_OBJECT, 0);
    r.callees   = value_new(out->memory, VALUE_OBJECT, 0);
    if (!r.base || !value_is_defined(r.functions) || !value_is_defined(r.callees))
        return full(&r);
    if (!read_statics(&r, object_get_text(json, "static")) || !list_functions(&r, funcs) || !value_close(out->memory, r.callees))
        return false;
    for (uint32_t i = 0; funcs.type == VALUE_ARRAY && i < value_count(funcs); i++) {
        struct plan_function f;

        if (!read_function(&r, array_at(funcs, i), &f))
            return false;
        (void) plan_add_function(out, f);
    }
    return read_queries(&r, object_get_text(object_get_text(json, "plans"), "plans")) && plan_ok(out, err);
}
