#include "keys/broker/policy_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rego/json.h"
#include "policy/rego/policy.h"

enum { KEPT_MAX = 64, RULE_MAX = 128, NAME_MAX_LEN = 512, EVAL_STEPS = 1000000, EVAL_MS = 1000 };
static const size_t EVAL_MEMORY = (size_t) 64 << 20, COMPILE_MEMORY = (size_t) 64 << 20, MEMORY_KEPT = (size_t) 4 << 20;

struct kept {
    struct buffer   key; /* the rules, a line each, and the module */
    struct program *program;
};

struct policy_engine {
    struct kept  at[KEPT_MAX];
    size_t       n_ever; /* the oldest gives way */
    struct arena memory;
};

FALLIBLE policy_engine_new(struct policy_engine **out, struct err *err)
{
    struct policy_engine *engine = calloc(1, sizeof *engine);

    (void) err;
    if (!engine)
        abort();
    engine->memory = arena_of(EVAL_MEMORY);
    *out           = engine;
    return true;
}

void policy_engine_free(struct policy_engine *engine)
{
    if (!engine)
        return;
    for (size_t i = 0; i < KEPT_MAX; i++) {
        program_free(engine->at[i].program);
        buffer_free(&engine->at[i].key);
    }
    arena_free(&engine->memory);
    free(engine);
}

/* ---- what a policy may ask ---- */

static FALLIBLE name_of(struct value v, char out[static NAME_MAX_LEN], struct err *err)
{
    if (!value_is(v, VALUE_STRING) || v.len >= NAME_MAX_LEN || memchr(v.text, 0, v.len))
        return fail_with(err, ERR_MALFORMED, "a name is wanted, of less than %d bytes", NAME_MAX_LEN);
    memcpy(out, v.text, v.len);
    out[v.len] = 0;
    return true;
}

static bool query_reference_value(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    const struct policy_lookups *lookups = user;
    AUTO(buffer) struct buffer   json    = { 0 };
    char                         name[NAME_MAX_LEN];
    const char                  *held;

    *out = value_null();
    if (!name_of(args[0], name, err) || !lookups->reference_value(lookups->owner, name, &json, err))
        return false;
    if (json.len == 0)
        return true;
    held = arena_copy(a, json.at, json.len); /* the value borrows from its text */
    return held ? json_text_read(a, (struct bytes){ (const uint8_t *) held, json.len }, out, err) : arena_ok(a, err);
}

static bool reference_is_registered(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    const struct policy_lookups *lookups = user;
    char                         kind[NAME_MAX_LEN];
    bool                         is_registered = false;

    (void) a;
    if (!name_of(args[0], kind, err) || !lookups->is_registered(lookups->owner, kind, &is_registered, err))
        return false;
    *out = value_bool(is_registered);
    return true;
}

static const struct host_function HOSTS[] = {
    { "query_reference_value", 1, query_reference_value },
    { "reference_is_registered", 1, reference_is_registered },
};

/* ---- compiling ---- */

static FALLIBLE compile(const struct policy_question *q, struct program **out, struct err *err)
{
    struct rego_text        module  = { "policy.rego", q->module };
    struct rego_options     options = { .hosts = HOSTS, .n_hosts = sizeof HOSTS / sizeof *HOSTS, .memory = COMPILE_MEMORY };
    struct rego_diagnostics why     = { .n = 0 };
    char                    texts[POLICY_QUERIES_MAX][RULE_MAX];
    const char             *queries[POLICY_QUERIES_MAX];

    if (q->module.len > POLICY_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "a policy of more than %d bytes", POLICY_TEXT_MAX);
    if (q->n_rules > POLICY_QUERIES_MAX)
        return fail_with(err, ERR_BUG, "%zu rules of one policy", q->n_rules);
    for (size_t i = 0; i < q->n_rules; i++) {
        (void) snprintf(texts[i], RULE_MAX, "x = %s", q->rules[i]); /* our own constants: fit */
        queries[i] = texts[i];
    }
    return rego_prepare(&module, 1, queries, (uint32_t) q->n_rules, &options, out, &why, err);
}

static void key_make(const struct policy_question *q, struct buffer *key)
{
    for (size_t i = 0; i < q->n_rules; i++)
        buffer_printf(key, "%s\n", q->rules[i]);
    buffer_append(key, q->module);
}

static FALLIBLE program_find(struct policy_engine *engine, const struct policy_question *q, struct program **out,
                             struct err *err)
{
    AUTO(buffer) struct buffer key = { 0 };
    struct kept               *into;

    key_make(q, &key);
    for (size_t i = 0; i < KEPT_MAX; i++) {
        if (engine->at[i].program && bytes_equal(buffer_bytes(&engine->at[i].key), buffer_bytes(&key))) {
            *out = engine->at[i].program;
            return true;
        }
    }
    if (!compile(q, out, err))
        return false;
    into = &engine->at[engine->n_ever++ % KEPT_MAX];
    program_free(into->program);
    buffer_free(&into->key);
    into->program = *out;
    into->key     = TAKE(key);
    return true;
}

struct rule_sought {
    const char *path;
    bool        is_found;
};

static void rule_seen(void *user, const char *path)
{
    struct rule_sought *s   = user;
    size_t              len = strlen(s->path);

    s->is_found = s->is_found || (strncmp(path, s->path, len) == 0 && (path[len] == 0 || path[len] == '.' || path[len] == '['));
}

/* A policy of another package, or without the rule that counts, would deny everything in silence. */
static FALLIBLE first_rule_check(const struct policy_question *q, struct err *err)
{
    struct rego_text        module  = { "policy.rego", q->module };
    struct rego_options     options = { .hosts = HOSTS, .n_hosts = sizeof HOSTS / sizeof *HOSTS, .memory = COMPILE_MEMORY };
    struct rego_diagnostics why     = { .n = 0 };
    struct rule_sought      sought  = { q->rules[0], false };

    return rego_each_rule(&module, 1, &options, rule_seen, &sought, &why, err) &&
           (sought.is_found || fail_with(err, ERR_MALFORMED, "the policy has no rule %s: it begins with \"package policy\", and has that rule",
                                         q->rules[0]));
}

FALLIBLE policy_engine_check(struct policy_engine *engine, const struct policy_question *question, struct err *err)
{
    AUTO(program) struct program *program = NULL;

    (void) engine;
    return compile(question, &program, err) && (question->n_rules == 0 || first_rule_check(question, err));
}

/* ---- evaluating ---- */

static FALLIBLE answer_write(struct arena *a, struct value results, struct buffer *out, struct err *err)
{
    struct text_out   text  = text_out_new(a, VALUE_TEXT_MAX);
    struct json_style style = { 0 };
    struct value      x, written;

    if (value_count(results) == 0)
        return true; /* undefined */
    x = object_get_text(array_at(results, 0), "x");
    json_text_write(&text, x, &style);
    if (!text_take(&text, &written))
        return arena_ok(a, err);
    buffer_append(out, (struct bytes){ (const uint8_t *) written.text, written.len });
    return true;
}

static FALLIBLE evaluate(struct policy_engine *engine, const struct policy_question *q, const struct program *program,
                         struct buffer *answers, struct err *err)
{
    struct arena       *a       = &engine->memory;
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT, .now_ns = q->now * INT64_C(1000000000) };
    struct value        input, data;

    options.limits.steps   = EVAL_STEPS;
    options.limits.time_ms = EVAL_MS;
    options.user           = (void *) (uintptr_t) q->lookups; /* only handed back to HOSTS above */
    if (!json_text_read(a, q->input, &input, err) || !json_text_read(a, q->data, &data, err))
        return context(err, "what the policy judges");
    for (size_t i = 0; i < q->n_rules; i++) {
        struct eval_fault fault = { 0 };
        struct value      results;

        if (!program_eval(program, (uint32_t) i, input, data, &options, a, &results, &fault, err) ||
            !answer_write(a, results, &answers[i], err))
            return false;
    }
    return true;
}

FALLIBLE policy_engine_ask(struct policy_engine *engine, const struct policy_question *question, struct buffer *answers,
                           struct err *err)
{
    struct program *program = NULL; /* the engine's */
    bool            is_answered;

    if (!program_find(engine, question, &program, err))
        return false;
    is_answered = evaluate(engine, question, program, answers, err);
    if (engine->memory.taken > MEMORY_KEPT)
        arena_free(&engine->memory), engine->memory = arena_of(EVAL_MEMORY);
    else
        arena_reset(&engine->memory);
    return is_answered;
}
