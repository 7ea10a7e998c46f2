#include "policy/rego/evaluation.h"
#include "policy/rego/number.h"
#include "policy/rego/utf8.h"

static const struct value undefined_value = { 0 };

/* The open collection of this type in a local; a closed one is replaced by a copy that may change. */
static bool open_target(struct frame *f, uint32_t target, enum value_type type, struct value *out)
{
    struct value v = f->locals[target];

    if (v.type != type)
        return fault_put(f->e, EVAL_INTERNAL_ERROR, "%s wanted, %s found", value_type_name((struct value){ .type = (uint8_t) type }),
                         value_type_name(v));
    if (!v.in->open) {
        if (!evaluation_charge(f->e, v.in->n))
            return false;
        v = value_reopened(f->e->arena, v);
        if (!value_is_defined(v))
            return false;
        f->locals[target] = v;
    }
    *out = v;
    return true;
}

static enum next op_array_append(struct frame *f, const struct code *c)
{
    struct value v, array;

    if (!read_at(f, c->a, &v))
        return failed_at(f, c);
    if (!value_is_defined(v))
        return LEAVE;
    if (!open_target(f, c->target, VALUE_ARRAY, &array) || !array_append(f->e->arena, array, v))
        return failed_at(f, c);
    return GO_ON;
}

static enum next op_set_add(struct frame *f, const struct code *c)
{
    struct value v, set;

    if (!read_at(f, c->a, &v))
        return failed_at(f, c);
    if (!value_is_defined(v))
        return LEAVE;
    if (!open_target(f, c->target, VALUE_SET, &set) || !evaluation_charge(f->e, cost_of(v)) ||
        !set_add(f->e->arena, set, v))
        return failed_at(f, c);
    return GO_ON;
}

static enum next op_assign(struct frame *f, const struct code *c)
{
    f->locals[c->target] = peek_at(f, c->a);
    return GO_ON;
}

/* Whether two values are equal, with the work charged. */
static bool equal(struct frame *f, uint32_t x, uint32_t y, bool *are_defined, bool *out)
{
    struct value a, b;
    uint64_t     cost;

    if (!read_at(f, x, &a) || !read_at(f, y, &b))
        return false;
    *are_defined = value_is_defined(a) && value_is_defined(b);
    cost         = cost_of(a) < cost_of(b) ? cost_of(a) : cost_of(b);
    if (cost > 0 && !evaluation_charge(f->e, cost))
        return false;
    *out = *are_defined && value_equal(a, b);
    return true;
}

static enum next conflict(struct frame *f, const struct code *c)
{
    (void) fault_put(f->e, EVAL_CONFLICT_ERROR,
                     f->function->is_function ? "functions must not produce multiple outputs for same inputs"
                                              : "complete rules must not produce multiple outputs");
    return failed_at(f, c);
}

static enum next op_assign_once(struct frame *f, const struct code *c)
{
    struct value v = peek_at(f, c->a);
    bool         are_defined, is_equal;

    if (!value_is_defined(v))
        return LEAVE;
    if (!value_is_defined(f->locals[c->target]))
        return assign(f, c->target, v);
    if (!equal(f, c->a, c->target, &are_defined, &is_equal))
        return failed_at(f, c);
    return is_equal ? GO_ON : conflict(f, c);
}

static enum next op_dot(struct frame *f, const struct code *c)
{
    struct value of = peek_at(f, c->a), key;

    if (!read_at(f, c->b, &key))
        return failed_at(f, c);
    if (!value_is_defined(of) || !value_is_defined(key))
        return assign(f, c->target, undefined_value);
    if (value_is_composite(key) && !evaluation_charge(f->e, cost_of(key)))
        return failed_at(f, c);
    return assign(f, c->target, value_get(of, key));
}

static enum next op_dot_base(struct frame *f, const struct code *c)
{
    enum next    next = op_dot(f, c);
    struct value of   = peek_at(f, c->a), key = peek_at(f, c->b);
    char         spare[24];
    struct bytes text;

    if (next != LEAVE || of.type != VALUE_OBJECT || key.type != VALUE_NUMBER)
        return next;
    text = number_text(key, spare);
    return assign(f, c->target, value_get(of, value_text((const char *) text.at, text.len)));
}

static enum next op_equal(struct frame *f, const struct code *c)
{
    bool are_defined, is_equal;

    if (!equal(f, c->a, c->b, &are_defined, &is_equal))
        return failed_at(f, c);
    return is_equal ? GO_ON : LEAVE;
}

static enum next op_not_equal(struct frame *f, const struct code *c)
{
    bool are_defined, is_equal;

    if (!equal(f, c->a, c->b, &are_defined, &is_equal))
        return failed_at(f, c);
    return are_defined && !is_equal ? GO_ON : LEAVE;
}

static enum next op_is_array(struct frame *f, const struct code *c)
{
    return peek_at(f, c->a).type == VALUE_ARRAY ? GO_ON : LEAVE;
}

static enum next op_is_object(struct frame *f, const struct code *c)
{
    return peek_at(f, c->a).type == VALUE_OBJECT ? GO_ON : LEAVE;
}

static enum next op_is_set(struct frame *f, const struct code *c)
{
    return peek_at(f, c->a).type == VALUE_SET ? GO_ON : LEAVE;
}

static enum next op_is_defined(struct frame *f, const struct code *c)
{
    return value_is_defined(peek_at(f, c->a)) ? GO_ON : LEAVE;
}

static enum next op_is_undefined(struct frame *f, const struct code *c)
{
    return value_is_defined(peek_at(f, c->a)) ? LEAVE : GO_ON;
}

static enum next op_len(struct frame *f, const struct code *c)
{
    struct value v = peek_at(f, c->a);

    if (value_is_composite(v))
        return assign(f, c->target, value_int(v.in->n));
    if (v.type != VALUE_STRING)
        return assign(f, c->target, undefined_value);
    if (!evaluation_charge(f->e, v.len / 64))
        return failed_at(f, c);
    return assign(f, c->target, value_int((int64_t) utf8_count(v.text, v.len)));
}

static enum next make(struct frame *f, const struct code *c, enum value_type type)
{
    struct value v = value_new(f->e->arena, type, 0);

    return value_is_defined(v) ? assign(f, c->target, v) : failed_at(f, c);
}

static enum next op_make_array(struct frame *f, const struct code *c)
{
    return make(f, c, VALUE_ARRAY);
}

static enum next op_make_object(struct frame *f, const struct code *c)
{
    return make(f, c, VALUE_OBJECT);
}

static enum next op_make_set(struct frame *f, const struct code *c)
{
    return make(f, c, VALUE_SET);
}

/* Key, value and target of an insertion. The value may be open: an object that will grow inside of this one. */
static enum next read_insertion(struct frame *f, const struct code *c, struct value *key, struct value *object)
{
    if (!read_at(f, c->a, key))
        return failed_at(f, c);
    if (!value_is_defined(*key) || !value_is_defined(peek_at(f, c->b)))
        return LEAVE;
    if (!open_target(f, c->target, VALUE_OBJECT, object) || !evaluation_charge(f->e, cost_of(*key)))
        return failed_at(f, c);
    return GO_ON;
}

static enum next op_object_insert(struct frame *f, const struct code *c)
{
    struct value key, object;
    enum next    next = read_insertion(f, c, &key, &object);

    if (next != GO_ON)
        return next;
    return object_put(f->e->arena, object, key, peek_at(f, c->b)) ? GO_ON : failed_at(f, c);
}

static enum next op_object_insert_once(struct frame *f, const struct code *c)
{
    struct value key, object, before, v;
    enum next    next = read_insertion(f, c, &key, &object);

    if (next != GO_ON)
        return next;
    before = value_get(object, key);
    if (!value_is_defined(before))
        return object_put(f->e->arena, object, key, peek_at(f, c->b)) ? GO_ON : failed_at(f, c);
    if (!read_at(f, c->b, &v) || !value_close(f->e->arena, before) || !evaluation_charge(f->e, cost_of(v)))
        return failed_at(f, c);
    if (value_equal(before, v))
        return GO_ON;
    (void) fault_put(f->e, EVAL_CONFLICT_ERROR, "object keys must be unique");
    return failed_at(f, c);
}

/* `over` laid over `under`: objects are merged, of anything else `over` stays. Both are closed. */
static bool merge(struct frame *f, struct value over, struct value under, struct value *out)
{
    struct arena *memory = f->e->arena;

    *out = over;
    if (over.type != VALUE_OBJECT || under.type != VALUE_OBJECT || over.in == under.in)
        return true;
    if (!evaluation_charge(f->e, (uint64_t) over.in->n + under.in->n))
        return false;

    struct value to = value_reopened(memory, under);
    if (!value_is_defined(to))
        return false;
    for (uint32_t i = 0; i < over.in->n; i++) {
        struct value key = object_key(over, i), below = value_get(under, key), merged = object_value(over, i);

        if (value_is_defined(below) && !merge(f, merged, below, &merged))
            return false;
        if (!object_put(memory, to, key, merged))
            return false;
    }
    *out = to;
    return value_close(memory, to);
}

static enum next op_object_merge(struct frame *f, const struct code *c)
{
    struct value a, b, merged;

    if (!read_at(f, c->a, &a) || !read_at(f, c->b, &b))
        return failed_at(f, c);
    if (!value_is_defined(a) || !value_is_defined(b))
        return LEAVE;
    return merge(f, a, b, &merged) ? assign(f, c->target, merged) : failed_at(f, c);
}

static enum next op_reset(struct frame *f, const struct code *c)
{
    f->locals[c->target] = undefined_value;
    return GO_ON;
}

static enum next op_result_add(struct frame *f, const struct code *c)
{
    struct value v;

    if (!read_at(f, c->a, &v) || (value_is_defined(v) && !array_append(f->e->arena, f->e->results, v)))
        return failed_at(f, c);
    return GO_ON;
}

static enum next op_return(struct frame *f, const struct code *c)
{
    return read_at(f, c->a, &f->result) ? STOP : failed_at(f, c);
}

static enum next op_end(struct frame *f, const struct code *c)
{
    (void) f;
    (void) c;
    return STOP;
}

static enum next op_jump(struct frame *f, const struct code *c)
{
    (void) f;
    (void) c;
    return LEAVE;
}

/* The slot of a scan holds the collection, and in `len` how far it has come. */
static enum next op_scan_start(struct frame *f, const struct code *c)
{
    struct value v;

    if (!read_at(f, c->a, &v))
        return failed_at(f, c);
    if (!value_is_composite(v))
        return LEAVE;
    v.len              = 0;
    f->locals[c->slot] = v;
    return GO_ON;
}

static enum next op_scan_next(struct frame *f, const struct code *c)
{
    struct value *at = &f->locals[c->slot];
    uint32_t      i  = at->len;

    if (i >= at->in->n)
        return LEAVE;
    at->len++;
    if (at->type == VALUE_OBJECT) {
        f->locals[c->target]  = object_key(*at, i);
        f->locals[c->target2] = object_value(*at, i);
        return GO_ON;
    }

    struct value element  = array_at(*at, i);
    f->locals[c->target]  = at->type == VALUE_ARRAY ? value_int(i) : element;
    f->locals[c->target2] = element;
    return GO_ON;
}

/* `of` with what is at the path replaced; objects on the way are made where there is none. */
static bool replace_at(struct frame *f, struct value of, const uint32_t *path, uint32_t n, struct value v, struct value *out)
{
    struct arena *memory = f->e->arena;
    struct value  key, inner, to;

    *out = v;
    if (n == 0)
        return true;
    if (!read_at(f, path[0], &key))
        return false;
    if (of.type == VALUE_OBJECT && of.in->open && !value_close(memory, of))
        return false;
    if (!replace_at(f, value_get(of, key), path + 1, n - 1, v, &inner))
        return false;
    if (of.type == VALUE_OBJECT && !evaluation_charge(f->e, of.in->n))
        return false;
    to = of.type == VALUE_OBJECT ? value_reopened(memory, of) : value_new(memory, VALUE_OBJECT, 1);
    if (!value_is_defined(to) || !object_put(memory, to, key, inner))
        return false;
    *out = to;
    return value_close(memory, to);
}

static enum next op_with_enter(struct frame *f, const struct code *c)
{
    struct value v, replaced;

    f->locals[c->slot] = f->locals[c->target];
    if (!read_at(f, c->a, &v))
        return failed_at(f, c);
    if (!value_is_defined(v) && c->n_path > 0)
        return LEAVE;
    if (!replace_at(f, f->locals[c->target], f->e->program->operands + c->target2, c->n_path, v, &replaced))
        return failed_at(f, c);
    f->locals[c->target] = replaced;
    return GO_ON;
}

static enum next op_with_leave(struct frame *f, const struct code *c)
{
    f->locals[c->target] = f->locals[c->slot];
    return GO_ON;
}

statement *const statements[CODE_N_OPS] = {
    [PLAN_ARRAY_APPEND]       = op_array_append,
    [PLAN_ASSIGN]             = op_assign,
    [PLAN_ASSIGN_ONCE]        = op_assign_once,
    [PLAN_BLOCK]              = op_jump, /* never written: blocks are flattened */
    [PLAN_BREAK]              = op_jump,
    [PLAN_CALL]               = op_call,
    [PLAN_CALL_DYNAMIC]       = op_call_dynamic,
    [PLAN_DOT]                = op_dot,
    [PLAN_DOT_BASE]           = op_dot_base,
    [PLAN_EQUAL]              = op_equal,
    [PLAN_NOT_EQUAL]          = op_not_equal,
    [PLAN_IS_ARRAY]           = op_is_array,
    [PLAN_IS_OBJECT]          = op_is_object,
    [PLAN_IS_SET]             = op_is_set,
    [PLAN_IS_DEFINED]         = op_is_defined,
    [PLAN_IS_UNDEFINED]       = op_is_undefined,
    [PLAN_LEN]                = op_len,
    [PLAN_MAKE_ARRAY]         = op_make_array,
    [PLAN_MAKE_OBJECT]        = op_make_object,
    [PLAN_MAKE_SET]           = op_make_set,
    [PLAN_NOP]                = op_jump,
    [PLAN_NOT]                = op_jump,
    [PLAN_OBJECT_INSERT]      = op_object_insert,
    [PLAN_OBJECT_INSERT_ONCE] = op_object_insert_once,
    [PLAN_OBJECT_MERGE]       = op_object_merge,
    [PLAN_RESET]              = op_reset,
    [PLAN_RESULT_ADD]         = op_result_add,
    [PLAN_RETURN]             = op_return,
    [PLAN_SCAN]               = op_jump,
    [PLAN_SET_ADD]            = op_set_add,
    [PLAN_WITH]               = op_jump,
    [CODE_CALL_BUILTIN]       = op_call_builtin,
    [CODE_CALL_HOST]          = op_call_host,
    [CODE_JUMP]               = op_jump,
    [CODE_SCAN_START]         = op_scan_start,
    [CODE_SCAN_NEXT]          = op_scan_next,
    [CODE_WITH_ENTER]         = op_with_enter,
    [CODE_WITH_LEAVE]         = op_with_leave,
    [CODE_END]                = op_end,
};
