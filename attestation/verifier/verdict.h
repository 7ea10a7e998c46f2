/*
 * What every appraiser answers: accepted, or the first check that did not hold, by layer, machine name and text.
 * The zero state is a refusal.
 */
#pragma once

#include <stddef.h>

#include "attestation/verifier/reasons.h"
#include "base/err.h"

#define LAYER_ENUM(name, code, meaning) LAYER_##name,
enum verdict_layer { VERDICT_LAYERS(LAYER_ENUM) N_LAYERS };
#undef LAYER_ENUM

#define REASON_ENUM(name, code, layer, meaning) REASON_##name,
enum verdict_reason { VERDICT_REASONS(REASON_ENUM) N_REASONS };
#undef REASON_ENUM

enum { VERDICT_WARNINGS_MAX = 8 };

struct verdict {
    bool                accepted;
    enum verdict_reason reason;      /* REASON_OK exactly when accepted */
    enum verdict_layer  layer;       /* of the reason */
    char                detail[256]; /* what was wanted, what was found; printable ASCII, no secrets */
    enum verdict_reason warnings[VERDICT_WARNINGS_MAX]; /* what policy let pass, but not silently */
    size_t              n_warnings;
};

enum check_outcome { CHECK_HOLDS, CHECK_WARNS, CHECK_FAILS };

/* Hears of every check as it is made: what --explain prints. `compared` holds for the call. */
struct verdict_listener {
    void (*checked)(void *owner, enum verdict_reason check, enum check_outcome outcome, const char *compared);
    void *owner;
};

/*
 * One appraisal under way. A check that fails settles the verdict for good; later ones are still told to the
 * listener. Nothing is allocated, and text is formatted only for a failure or a listener.
 */
struct appraisal {
    struct verdict                *verdict;
    const struct verdict_listener *listener; /* or NULL */
    bool                           failed;
};

/* Refuses everything until appraisal_finish: `out` starts as NOT_EXAMINED. */
struct appraisal appraisal_start(struct verdict *out, const struct verdict_listener *listener);

/* Returns `holds`. `fmt` says what was compared. */
bool check(struct appraisal *a, bool holds, enum verdict_reason reason, const char *fmt, ...) PRINTF_LIKE(4);

/* Like check(false, ...), but only a warning: the verdict stays open. Over VERDICT_WARNINGS_MAX it is a refusal. */
void check_warns(struct appraisal *a, enum verdict_reason reason, const char *fmt, ...) PRINTF_LIKE(3);

/* Accepts if no check failed. Returns verdict->accepted. */
bool appraisal_finish(struct appraisal *a);

const char        *reason_code(enum verdict_reason reason);    /* "snp-debug" */
const char        *reason_meaning(enum verdict_reason reason); /* "guest policy allows debugging" */
const char        *reason_why(enum verdict_reason reason); /* why the check is made; for a person */
enum verdict_layer reason_layer(enum verdict_reason reason);
const char        *layer_code(enum verdict_layer layer); /* "appraise" */
/* The reason named `code`; N_REASONS when there is none. */
enum verdict_reason reason_by_code(const char *code);
