#include "policy/rego/eval.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/rego/evaluation.h"

const struct eval_limits EVAL_LIMITS_DEFAULT = {
    .steps = 2000000, .depth = 512, .host_calls = 256, .print_bytes = 64 << 10, .time_ms = 10000,
};

enum { SEGMENT_VALUES = 512, CLOCK_STEPS = 4096, CALL_CHAINS = 64, CALLS_REMEMBERED = 1 << 16 };

const char *eval_code_name(enum eval_code code)
{
#define EVAL_NAME(name, text) [name] = text,
    static const char *const names[] = { EVAL_CODES(EVAL_NAME) };
#undef EVAL_NAME

    return names[code];
}

bool fault_put(struct evaluation *e, enum eval_code code, const char *fmt, ...)
{
    va_list args;

    e->fault->code = code;
    va_start(args, fmt);
    (void) vsnprintf(e->fault->text, sizeof e->fault->text, fmt, args); /* a longer text is cut */
    va_end(args);
    return false;
}

static int64_t clock_ns(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

FALLIBLE evaluation_charge(struct evaluation *e, uint64_t n)
{
    if (n > e->steps_left) {
        e->steps_left = 0;
        return fault_put(e, EVAL_LIMIT_ERROR, "more than %llu steps", (unsigned long long) e->options->limits.steps);
    }
    e->steps_left -= n;
    if (e->deadline_ns && e->steps_left <= e->next_clock) {
        e->next_clock = e->steps_left > CLOCK_STEPS ? e->steps_left - CLOCK_STEPS : 0;
        if (clock_ns() > e->deadline_ns)
            return fault_put(e, EVAL_LIMIT_ERROR, "more than %lld ms", (long long) e->options->limits.time_ms);
    }
    return true;
}

/* Locals of running functions, last in first out; segments are kept for the next call. */
struct segment {
    struct segment *before, *behind;
    uint32_t        used, room;
    struct value    at[];
};

static struct value *frame_push(struct evaluation *e, uint32_t n)
{
    struct segment *s = e->segment;

    if (!s || n > s->room - s->used) {
        struct segment *next = s ? s->behind : NULL;

        if (!next || n > next->room) {
            uint32_t room = n > SEGMENT_VALUES ? n : SEGMENT_VALUES;

            next = arena_take(e->arena, sizeof *next + room * sizeof(struct value));
            if (!next)
                return NULL;
            *next = (struct segment){ .before = s, .room = room };
            if (s)
                s->behind = next;
        }
        next->used = 0;
        e->segment = s = next;
    }

    struct value *locals = s->at + s->used;
    s->used += n;
    memset(locals, 0, n * sizeof *locals);
    return locals;
}

static void frame_pop(struct evaluation *e, uint32_t n)
{
    e->segment->used -= n;
    if (e->segment->used == 0 && e->segment->before)
        e->segment = e->segment->before;
}

static struct value place_file(const struct program *p, struct plan_place place)
{
    return place.row > 0 && place.file < p->n_files ? p->files[place.file] : value_undefined();
}

enum next failed_at(struct frame *f, const struct code *c)
{
    struct evaluation *e = f->e;

    if (e->fault->code == EVAL_NO_ERROR) /* nobody named it: the arena ran out */
        fault_put(e, EVAL_LIMIT_ERROR, "%s", e->arena->failed ? e->arena->failed : "memory");
    if (e->fault->place.row == 0) {
        e->fault->place = e->program->places[c->place];
        e->fault->file  = place_file(e->program, e->fault->place);
    }
    return FAILED;
}

static bool run(struct frame *f);

/* A remembered result. Arguments are equal when they are the same scalar or the same collection. */
struct memo {
    struct memo *next;
    uint64_t     hash; /* with arguments: of function and arguments */
    uint32_t     function;
    struct value result;
    struct value args[];
};

static bool is_same(struct value a, struct value b)
{
    if (a.type != b.type)
        return false;
    return value_is_composite(a) ? a.in == b.in : value_compare(a, b) == 0;
}

static uint64_t hash_args(uint32_t function, const struct value *args, uint32_t n)
{
    uint64_t h = function;

    for (uint32_t i = 2; i < n; i++)
        h = h * 31 + (value_is_composite(args[i]) ? (uintptr_t) args[i].in >> 4 : value_hash(args[i]));
    return h ^ h >> 29;
}

/* As many chains as results, about: a chain stays short however many calls there are. */
static bool calls_grow(struct evaluation *e)
{
    uint32_t      n = e->n_chains ? e->n_chains * 4 : CALL_CHAINS;
    struct memo **chains;

    if (e->n_chains > 0 && (e->n_calls < e->n_chains || e->n_chains >= CALLS_REMEMBERED))
        return true;
    chains = arena_zeroed(e->arena, n * sizeof *chains);
    if (!chains)
        return false;
    for (uint32_t i = 0; i < e->n_chains; i++) {
        for (struct memo *m = e->calls[i], *next; m; m = next) {
            struct memo **to = &chains[m->hash % n];

            next    = m->next;
            m->next = *to;
            *to     = m;
        }
    }
    e->calls    = chains;
    e->n_chains = n;
    return true;
}

static struct memo **memo_chain(struct evaluation *e, uint32_t function, uint64_t hash, uint32_t n)
{
    if (n == 2)
        return &e->rules[function];
    return calls_grow(e) ? &e->calls[hash % e->n_chains] : NULL;
}

static struct memo *memo_find(struct memo *chain, uint32_t function, uint64_t hash, const struct value *args, uint32_t n)
{
    for (; chain; chain = chain->next) {
        uint32_t i = 0;

        while (chain->function == function && chain->hash == hash && i < n && is_same(chain->args[i], args[i]))
            i++;
        if (i == n)
            return chain;
    }
    return NULL;
}

/* Chains may have moved since the call began. */
static bool memo_add(struct evaluation *e, struct memo m, const struct value *args, uint32_t n)
{
    struct memo **chain = memo_chain(e, m.function, m.hash, n), *kept;

    if (!chain || e->n_calls >= CALLS_REMEMBERED)
        return chain != NULL;
    kept = arena_take(e->arena, sizeof *kept + n * sizeof *args);
    if (!kept)
        return false;
    *kept      = m;
    kept->next = *chain;
    memcpy(kept->args, args, n * sizeof *args);
    *chain = kept;
    e->n_calls++;
    return true;
}

static void trace(const struct frame *f, enum eval_event event, const struct code *c)
{
    const struct evaluation *e = f->e;
    struct eval_moment       m = {
              .event = event, .function = f->function->name, .locals = f->locals, .names = f->function->names,
              .depth = e->depth, .place = e->program->places[c ? c->place : f->function->place],
    };

    m.file = place_file(e->program, m.place);
    if (event == EVAL_LEAVE)
        m.a = f->result;
    if (c) {
        m.op = c->op < PLAN_N_OPS ? (enum plan_op) c->op : PLAN_CALL;
        m.a  = c->op == CODE_CALL_BUILTIN || c->op == CODE_CALL_HOST ? value_undefined() : peek_at(f, c->a);
        m.b  = c->op < PLAN_N_OPS && c->op != PLAN_CALL && c->op != PLAN_CALL_DYNAMIC ? peek_at(f, c->b) : value_undefined();
    }
    e->options->trace(e->options->user, &m);
}

static bool call_function(struct evaluation *e, uint32_t function, const struct value *args, uint32_t n, struct value *out)
{
    const struct program_function *fn    = &e->program->functions[function];
    uint64_t                       hash  = n > 2 ? hash_args(function, args, n) : 0;
    struct memo                  **chain = memo_chain(e, function, hash, n);
    struct frame                   f     = { .e = e, .function = fn, .pc = fn->start };
    bool                           ok;

    if (!chain)
        return false;
    struct memo *known = memo_find(*chain, function, hash, args, n);
    if (known) {
        *out = known->result;
        return true;
    }
    if (e->depth >= e->options->limits.depth)
        return fault_put(e, EVAL_LIMIT_ERROR, "calls nested deeper than %u", e->options->limits.depth);
    f.locals = frame_push(e, fn->n_slots);
    if (!f.locals)
        return false;
    for (uint32_t i = 0; i < n; i++)
        f.locals[fn->params ? fn->params[i] : i] = args[i];
    e->depth++;
    if (e->options->trace)
        trace(&f, EVAL_ENTER, NULL);
    ok = run(&f);
    if (ok && e->options->trace)
        trace(&f, EVAL_LEAVE, NULL);
    e->depth--;
    frame_pop(e, fn->n_slots);
    *out = f.result;
    return ok && (fn->may_repeat || memo_add(e, (struct memo){ .function = function, .hash = hash, .result = f.result }, args, n));
}

/* Reads the arguments behind the path; LEAVE when one is undefined. Input (the first) may be. */
static enum next read_args(struct frame *f, const struct code *c, uint32_t may_lack, struct value *args)
{
    const uint32_t *operands = f->e->program->operands + c->target2 + c->n_path;

    for (uint32_t i = 0; i < c->n_args; i++) {
        if (!read_at(f, operands[i], &args[i]))
            return failed_at(f, c);
        if (i >= may_lack && !value_is_defined(args[i]))
            return LEAVE;
    }
    return GO_ON;
}

enum next op_call(struct frame *f, const struct code *c)
{
    struct value args[PROGRAM_ARGS_MAX], result;
    enum next    next = read_args(f, c, 2, args);

    if (next != GO_ON)
        return next;
    if (!call_function(f->e, c->b, args, c->n_args, &result))
        return failed_at(f, c);
    return assign(f, c->target, result);
}

enum next op_call_dynamic(struct frame *f, const struct code *c)
{
    const struct program *p = f->e->program;
    struct value          args[PROGRAM_ARGS_MAX], part, found, result;
    struct value          path = value_new(f->e->arena, VALUE_ARRAY, c->n_path);
    enum next             next = read_args(f, c, 2, args);

    if (!value_is_defined(path))
        return failed_at(f, c);
    if (next != GO_ON)
        return next;
    for (uint32_t i = 0; i < c->n_path; i++) {
        if (!read_at(f, p->operands[c->target2 + i], &part))
            return failed_at(f, c);
        if (part.type != VALUE_STRING)
            return LEAVE;
        if (!array_append(f->e->arena, path, part))
            return failed_at(f, c);
    }
    if (!value_close(f->e->arena, path))
        return failed_at(f, c);
    found = value_get(p->by_path, path);
    if (!value_is_defined(found) || p->functions[found.integer].n_params != c->n_args)
        return LEAVE;
    if (!call_function(f->e, (uint32_t) found.integer, args, c->n_args, &result))
        return failed_at(f, c);
    return assign(f, c->target, result);
}

static bool is_soft(enum eval_code code)
{
    return code == EVAL_TYPE_ERROR || code == EVAL_BUILTIN_ERROR;
}

enum next op_call_builtin(struct frame *f, const struct code *c)
{
    const struct builtin *b = builtin_at(c->b);
    struct evaluation    *e = f->e;
    struct call           call = { .evaluation = e, .arena = e->arena, .name = b->name, .fault = e->fault };
    struct value          args[BUILTIN_ARGS_MAX], result = value_undefined();
    enum next             next = read_args(f, c, 0, args);

    if (next != GO_ON)
        return next;
    if (b->call(&call, args, &result)) {
        if (value_is_composite(result) && result.in->open && !value_close(e->arena, result))
            return failed_at(f, c);
        return assign(f, c->target, result);
    }
    if (e->arena->failed || !is_soft(e->fault->code) || e->options->strict_builtin_errors)
        return failed_at(f, c);
    e->fault->code    = EVAL_NO_ERROR; /* lax: the call is undefined */
    e->fault->text[0] = '\0';
    return assign(f, c->target, value_undefined());
}

enum next op_call_host(struct frame *f, const struct code *c)
{
    struct evaluation          *e    = f->e;
    const struct host_function *host = &e->program->hosts[c->b];
    struct value                args[PROGRAM_ARGS_MAX], result = value_undefined();
    enum next                   next = read_args(f, c, 0, args);

    if (next != GO_ON)
        return next;
    if (e->host_calls >= e->options->limits.host_calls) {
        fault_put(e, EVAL_LIMIT_ERROR, "more than %u calls of host functions", e->options->limits.host_calls);
        return failed_at(f, c);
    }
    e->host_calls++;
    *e->err = (struct err){ 0 };
    if (!host->call(e->options->user, e->arena, args, &result, e->err)) {
        fault_put(e, EVAL_INTERNAL_ERROR, "%s: %s", host->name, e->err->text);
        return failed_at(f, c);
    }
    if (value_is_composite(result) && result.in->open && !value_close(e->arena, result))
        return failed_at(f, c);
    return assign(f, c->target, result);
}

static bool run(struct frame *f)
{
    const struct code *code = f->e->program->code;
    struct evaluation *e    = f->e;

    for (;;) {
        const struct code *c = &code[f->pc++];

        if (e->steps_left-- <= e->next_clock) { /* the clock is due, or the budget is used up */
            e->steps_left++;
            if (!evaluation_charge(e, 1))
                return failed_at(f, c) != FAILED;
        }
        switch (statements[c->op](f, c)) {
        case GO_ON:
            break;
        case LEAVE:
            if (e->options->trace && c->op != CODE_JUMP && c->op != CODE_SCAN_NEXT)
                trace(f, EVAL_UNDEFINED, c);
            f->pc = c->to;
            break;
        case STOP:
            return true;
        case FAILED:
            return false;
        }
    }
}

static bool start(struct evaluation *e, const struct eval_options *options)
{
    e->steps_left = options->limits.steps;
    e->next_clock = 0;
    if (options->limits.time_ms > 0) {
        e->deadline_ns = clock_ns() + options->limits.time_ms * INT64_C(1000000);
        e->next_clock  = e->steps_left > CLOCK_STEPS ? e->steps_left - CLOCK_STEPS : 0;
    }
    e->results = value_new(e->arena, VALUE_ARRAY, 0);
    e->rules   = arena_zeroed(e->arena, (e->program->n_functions + 1) * sizeof(struct memo *));
    return value_is_defined(e->results) && e->rules;
}

static bool run_query(struct evaluation *e, uint32_t query, struct value input, struct value data)
{
    const struct program_function *fn = &e->program->functions[e->program->n_functions + query];
    struct frame                   f  = { .e = e, .function = fn, .pc = fn->start };

    f.locals = frame_push(e, fn->n_slots);
    if (!f.locals)
        return false;
    f.locals[0] = input;
    f.locals[1] = data;
    if (e->options->trace)
        trace(&f, EVAL_ENTER, NULL);
    return run(&f) && value_close(e->arena, e->results);
}

static bool report(struct evaluation *e)
{
    struct err inner = *e->err;

    if (e->fault->code == EVAL_NO_ERROR)
        fault_put(e, EVAL_LIMIT_ERROR, "%s", e->arena->failed ? e->arena->failed : "memory");
    if (e->fault->code == EVAL_INTERNAL_ERROR && inner.kind != ERR_NONE)
        return fail_with(e->err, inner.kind, "%s: %s", eval_code_name(e->fault->code), e->fault->text);
    return fail_with(e->err, e->fault->code == EVAL_LIMIT_ERROR ? ERR_LIMIT : ERR_MALFORMED, "%s: %s",
                     eval_code_name(e->fault->code), e->fault->text);
}

FALLIBLE program_eval(const struct program *p, uint32_t query, struct value input, struct value data,
                      const struct eval_options *options, struct arena *memory, struct value *results,
                      struct eval_fault *fault, struct err *err)
{
    struct evaluation e = { .program = p, .options = options, .arena = memory, .fault = fault, .err = err };

    *fault = (struct eval_fault){ 0 };
    *err   = (struct err){ 0 };
    if (query >= p->n_queries)
        return fail_with(err, ERR_NOT_FOUND, "no such query");
    if (!start(&e, options) || !run_query(&e, query, input, data))
        return report(&e);
    *results = e.results;
    return true;
}
