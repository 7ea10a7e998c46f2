/* `cloister reference`: what a broker expects of a guest before it releases anything to it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/broker_access.h"
#include "runtime/cli/commands.h"

enum { EXIT_FAILED = 1, EXIT_UNUSABLE = 2, DAY = 86400, DAYS_MAX = 36500 };

struct reference_call {
    struct broker_access access;
    const char          *tee, *resource;
    struct option_list   measurements, initdatas;
    uint64_t             days;
    bool                 json;
    char               **operands; /* behind the verb */
};

static FALLIBLE add_all(struct admin_client *client, const struct reference_call *call, const char *kind,
                        const struct option_list *values, struct err *err)
{
    for (size_t i = 0; i < values->n; i++) {
        struct admin_reference reference = { .kind = kind, .tee = call->tee, .value = values->at[i],
                                             .resource = call->resource };
        uint64_t               id;

        if (call->days > 0)
            reference.expires = (uint64_t) time(NULL) + call->days * DAY;
        if (!admin_reference_add(client, &reference, &id, err))
            return contextf(err, "%s %.16s", kind, values->at[i]);
        printf("%" PRIu64 "\n", id);
    }
    return true;
}

static FALLIBLE reference_add(struct admin_client *client, const struct reference_call *call, struct err *err)
{
    if (call->measurements.n + call->initdatas.n == 0)
        return fail_with(err, ERR_CONFIG, "nothing to add: give --measurement HEX, --initdata HEX or both");
    return add_all(client, call, "measurement", &call->measurements, err) &&
           add_all(client, call, "initdata", &call->initdatas, err);
}

static FALLIBLE reference_print(struct json_object *one, struct err *err)
{
    const char *kind, *tee, *value, *resource;
    uint64_t    id, expires;
    char        date[32] = "never";
    time_t      at;
    struct tm   tm;

    if (!json_get_u64(one, "id", INT64_MAX, &id, err) || !json_get_text(one, "kind", &kind, err) ||
        !json_get_text(one, "tee", &tee, err) || !json_get_text(one, "value", &value, err) ||
        !json_get_text(one, "resource", &resource, err) || !json_get_u64(one, "expires", INT64_MAX, &expires, err))
        return context(err, "the broker's list");
    at = (time_t) expires;
    if (expires > 0 && (!gmtime_r(&at, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0))
        return fail_with(err, ERR_MALFORMED, "the broker's list: a date out of range");
    printf("%" PRIu64 "  %s %s %s  for %s%s  until %s\n", id, tee, kind, value, resource[0] ? "kbs:///" : "all",
           resource, date);
    return true;
}

static FALLIBLE reference_list(struct admin_client *client, const struct reference_call *call, struct err *err)
{
    AUTO(json) struct json_object *list = NULL;

    if (!admin_references(client, &list, err))
        return false;
    if (call->json) {
        AUTO(buffer) struct buffer text = { 0 };

        json_write(list, &text);
        (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
        return true;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!reference_print(json_object_array_get_idx(list, i), err))
            return false;
    }
    return true;
}

static FALLIBLE reference_rm(struct admin_client *client, const struct reference_call *call, struct err *err)
{
    char              *end = NULL;
    unsigned long long id;

    errno = 0;
    id    = strtoull(call->operands[0], &end, 10);
    if (call->operands[0][0] < '1' || call->operands[0][0] > '9' || *end != 0 || errno != 0)
        return fail_with(err, ERR_CONFIG, "\"%.40s\" is not a number; `cloister reference list` shows them",
                         call->operands[0]);
    return admin_reference_remove(client, id, err);
}

static const struct verb {
    const char *name;
    size_t      n_operands;
    FALLIBLE  (*run)(struct admin_client *client, const struct reference_call *call, struct err *err);
} VERBS[] = { { "add", 0, reference_add }, { "list", 0, reference_list }, { "rm", 1, reference_rm } };

static FALLIBLE reference_run(const struct verb *verb, const struct reference_call *call, struct err *err)
{
    AUTO(admin_client) struct admin_client *client = NULL;

    return broker_access_open(&call->access, &client, err) && verb->run(client, call, err);
}

static const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) {
        if (strcmp(VERBS[i].name, name) == 0)
            return &VERBS[i];
    }
    return NULL;
}

int cmd_reference(int argc, char **argv)
{
    struct reference_call   call   = { .tee = "snp" };
    const struct option_row rows[] = {
        BROKER_ACCESS_ROWS(&call.access),
        { "measurement", OPTION_LIST, &call.measurements, "HEX", "add: a launch digest, as `cloister measure` prints it", 0, 0 },
        { "initdata", OPTION_LIST, &call.initdatas, "HEX", "add: a digest of initdata", 0, 0 },
        { "tee", OPTION_TEXT, &call.tee, "NAME", "add: of this TEE (snp)", 0, 0 },
        { "resource", OPTION_TEXT, &call.resource, "URI", "add: counts for this kbs:///REPOSITORY/TYPE/TAG only", 0, 0 },
        { "days", OPTION_NUMBER, &call.days, "N", "add: expires after so many days (never)", 1, DAYS_MAX },
        { "json", OPTION_FLAG, &call.json, NULL, "list: print JSON", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister reference", .synopsis = "add | list | rm NUMBER   [OPTION]...",
        .about = "Tells a broker which guests may have secrets: those of a registered measurement with expected initdata.",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
    };
    const struct verb   *verb;
    enum options_outcome outcome;
    char               **operands;
    size_t               n_operands;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err)) {
        fprintf(stderr, "cloister: reference: %s\n", err.text);
        return EXIT_UNUSABLE;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    verb = n_operands > 0 ? verb_named(operands[0]) : NULL;
    if (!verb || n_operands - 1 != verb->n_operands) {
        fprintf(stderr, "cloister: reference: wanted is %s\n", table.synopsis);
        return EXIT_UNUSABLE;
    }
    call.operands = operands + 1;
    if (!reference_run(verb, &call, &err)) {
        fprintf(stderr, "cloister: reference: %s\n", err.text);
        return EXIT_FAILED;
    }
    return 0;
}
