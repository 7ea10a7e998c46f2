#include "attestation/verifier/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attestation/verifier/verdict_why.h"

struct reason_row {
    const char        *code, *meaning;
    enum verdict_layer layer;
};

#define REASON_ROW(name, code, layer, meaning) [REASON_##name] = { code, meaning, LAYER_##layer },
static const struct reason_row reasons[N_REASONS] = { VERDICT_REASONS(REASON_ROW) };
#undef REASON_ROW

#define LAYER_ROW(name, code, meaning) [LAYER_##name] = code,
static const char *const layers[N_LAYERS] = { VERDICT_LAYERS(LAYER_ROW) };
#undef LAYER_ROW

#define WHY_ROW(name, why) [REASON_##name] = why,
static const char *const whys[N_REASONS] = { REASONS_WHY(WHY_ROW) };
#undef WHY_ROW

struct appraisal appraisal_start(struct verdict *out, const struct verdict_listener *listener)
{
    *out = (struct verdict){ .reason = REASON_NOT_EXAMINED };
    return (struct appraisal){ .verdict = out, .listener = listener };
}

static void settle(struct appraisal *a, enum verdict_reason reason, const char *compared)
{
    if (a->failed)
        return;
    a->failed            = true;
    a->verdict->accepted = false;
    a->verdict->reason   = reason;
    a->verdict->layer    = reason_layer(reason);
    (void) snprintf(a->verdict->detail, sizeof a->verdict->detail, "%s", compared); /* cut at the end is fine */
}

static void tell(const struct appraisal *a, enum verdict_reason reason, enum check_outcome outcome, const char *compared)
{
    if (a->listener)
        a->listener->checked(a->listener->owner, reason, outcome, compared);
}

bool check(struct appraisal *a, bool holds, enum verdict_reason reason, const char *fmt, ...)
{
    char    compared[sizeof a->verdict->detail];
    va_list ap;

    if (holds && !a->listener)
        return true;
    va_start(ap, fmt);
    (void) vsnprintf(compared, sizeof compared, fmt, ap); /* cut at the end is fine */
    va_end(ap);
    if (!holds)
        settle(a, reason, compared);
    tell(a, reason, holds ? CHECK_HOLDS : CHECK_FAILS, compared);
    return holds;
}

void check_warns(struct appraisal *a, enum verdict_reason reason, const char *fmt, ...)
{
    char            compared[sizeof a->verdict->detail];
    struct verdict *v = a->verdict;
    va_list         ap;

    va_start(ap, fmt);
    (void) vsnprintf(compared, sizeof compared, fmt, ap); /* cut at the end is fine */
    va_end(ap);
    if (v->n_warnings < VERDICT_WARNINGS_MAX)
        v->warnings[v->n_warnings++] = reason;
    else
        settle(a, reason, compared);
    tell(a, reason, CHECK_WARNS, compared);
}

bool appraisal_finish(struct appraisal *a)
{
    if (!a->failed) {
        a->verdict->accepted = true;
        a->verdict->reason   = REASON_OK;
        a->verdict->layer    = LAYER_NONE;
    }
    return a->verdict->accepted;
}

const char *reason_code(enum verdict_reason reason)
{
    return reason < N_REASONS ? reasons[reason].code : "unknown";
}

const char *reason_meaning(enum verdict_reason reason)
{
    return reason < N_REASONS ? reasons[reason].meaning : "unknown";
}

const char *reason_why(enum verdict_reason reason)
{
    return reason < N_REASONS && whys[reason] ? whys[reason] : reason_meaning(reason);
}

enum verdict_layer reason_layer(enum verdict_reason reason)
{
    return reason < N_REASONS ? reasons[reason].layer : LAYER_NONE;
}

const char *layer_code(enum verdict_layer layer)
{
    return layer < N_LAYERS ? layers[layer] : "unknown";
}

enum verdict_reason reason_by_code(const char *code)
{
    for (size_t i = 0; i < N_REASONS; i++)
        if (strcmp(reasons[i].code, code) == 0)
            return (enum verdict_reason) i;
    return N_REASONS;
}
