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

/* "+01:30" or "-00:00" in seconds; false for any other form. [RFC 3339 5.6] */
static bool offset_read(struct bytes text, int64_t *out)
{
    static const char form[] = "+00:00";

    if (text.len != sizeof form - 1 || (text.at[0] != '+' && text.at[0] != '-') || text.at[3] != ':')
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (i != 3 && (text.at[i] < '0' || text.at[i] > '9'))
            return false;

    int hours = (text.at[1] - '0') * 10 + text.at[2] - '0', minutes = (text.at[4] - '0') * 10 + text.at[5] - '0';

    *out = (hours * 3600 + minutes * 60) * (text.at[0] == '-' ? -1 : 1);
    return hours < 24 && minutes < 60;
}

/* RFC 3339 with its fractions, which are cut off, and its offsets, on top of the one form that instant_of_text reads. */
static bool time_read(const char *at, int64_t *out)
{
    struct reader r       = reader_over(bytes_of_text(at));
    struct bytes  seconds = take(&r, INSTANT_TEXT_LEN - 1);
    char          utc[INSTANT_TEXT_LEN + 1];
    int64_t       offset = 0;

    if (r.failed)
        return false;
    if (r.left.len > 1 && r.left.at[0] == '.') {
        (void) take(&r, 1); /* the point */
        if (r.left.at[0] < '0' || r.left.at[0] > '9')
            return false;
        while (r.left.len > 0 && r.left.at[0] >= '0' && r.left.at[0] <= '9')
            (void) take(&r, 1); /* a digit */
    }
    if (!bytes_equal(r.left, bytes_of_text("Z")) && !bytes_equal(r.left, bytes_of_text("z")) && !offset_read(r.left, &offset))
        return false;
    (void) snprintf(utc, sizeof utc, "%.*sZ", (int) seconds.len, (const char *) seconds.at); /* fits */
    if (!instant_of_text(bytes_of_text(utc), out))
        return false;
    *out -= offset;
    return true;
}

FALLIBLE verify_time(const char *at, int64_t *out, struct err *err)
{
    if (!at) {
        *out = time(NULL);
        return true;
    }
    return time_read(at, out) ||
           fail_with(err, ERR_CONFIG, "--at \"%s\": a time such as 2026-11-23T12:00:00Z is wanted", at);
}
