#include <stdio.h>
#include <time.h>

#include "attestation/verifier/instant.h"
#include "base/text.h"
#include "runtime/cli/verify.h"

int verify_answer(const struct verdict *v, const char *status, struct json_object *claims_take)
{
    AUTO(json) struct json_object *answer   = json_object_new_object();
    AUTO(buffer) struct buffer     text     = { 0 };
    struct json_object            *warnings = json_object_new_array();

    json_add_text(answer, "verdict", v->accepted ? "accepted" : "rejected");
    json_add_text(answer, "reason", reason_code(v->reason));
    json_add_text(answer, "layer", layer_code(v->layer));
    json_add_text(answer, "meaning", reason_meaning(v->reason));
    if (!v->accepted)
        json_add_text(answer, "detail", v->detail);
    json_add(answer, "status", status ? json_object_new_string(status) : NULL);
    for (size_t i = 0; i < v->n_warnings; i++)
        (void) json_object_array_add(warnings, json_object_new_string(reason_code(v->warnings[i]))); /* memory only */
    json_add(answer, "warnings", warnings);
    json_add(answer, "claims", claims_take ? claims_take : json_object_new_object());
    json_write(answer, &text);
    (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
    return v->accepted ? VERIFY_ACCEPTED : VERIFY_REJECTED;
}

int verify_unusable(const char *tee, const struct err *err)
{
    fprintf(stderr, "cloister: verify %s: %s\n", tee, err->text);
    return VERIFY_UNUSABLE;
}

static void print_check(void *owner, enum verdict_reason check, enum check_outcome outcome, const char *compared)
{
    static const char *const words[] = { [CHECK_HOLDS] = "ok  ", [CHECK_WARNS] = "WARN", [CHECK_FAILS] = "FAIL" };

    (void) owner; /* standard error needs none */
    fprintf(stderr, "%s  %-10s %s\n", words[outcome], layer_code(reason_layer(check)), compared);
    fprintf(stderr, "      %-10s (%s: %s)\n", "", reason_code(check), reason_why(check));
}

const struct verdict_listener *verify_explainer(bool wanted)
{
    static const struct verdict_listener printer = { print_check, NULL };

    return wanted ? &printer : NULL;
}

FALLIBLE verify_time(const char *at, int64_t *out, struct err *err)
{
    if (!at) {
        *out = time(NULL);
        return true;
    }
    return instant_of_text(bytes_of_text(at), out) ||
           fail_with(err, ERR_CONFIG, "--at \"%s\": a time such as 2026-11-23T12:00:00Z is wanted", at);
}
