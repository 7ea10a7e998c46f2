/* `cloister policy set`, `unset`, `list` and `history`: the policies that a broker decides by. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "runtime/cli/broker_access.h"
#include "runtime/cli/document_print.h"
#include "runtime/cli/policy.h"

enum { POLICY_FILE_MAX = 1 << 20 };

struct remote_call {
    struct broker_access access;
    const char          *name;
    bool                 json;
    char               **operands; /* the kind, and for set the file */
};

static const struct kind {
    const char *word, *document, *name; /* the name that is meant when none is given */
} KINDS[] = {
    { "attestation", "attestation-policy", "default_cpu" },
    { "resource", "resource-policy", "*" },
};

static FALLIBLE set_run(struct admin_client *client, const struct remote_call *call, const struct kind *kind, struct err *err)
{
    AUTO(buffer) struct buffer text     = { 0 };
    struct admin_document      document = { .kind = kind->document, .name = call->name ? call->name : kind->name };
    uint64_t                   version;

    if (!file_read(call->operands[1], POLICY_FILE_MAX, &text, err))
        return false;
    document.text = buffer_bytes(&text);
    if (!admin_document_put(client, &document, &version, err))
        return context(err, call->operands[1]);
    printf("%s %s version %" PRIu64 "\n", kind->document, document.name, version);
    return true;
}

static FALLIBLE unset_run(struct admin_client *client, const struct remote_call *call, const struct kind *kind, struct err *err)
{
    const char *name = call->name ? call->name : kind->name;

    if (!admin_document_remove(client, kind->document, name, err))
        return false;
    printf("%s %s removed\n", kind->document, name);
    return true;
}

static FALLIBLE list_run(struct admin_client *client, const struct remote_call *call, const struct kind *kind, struct err *err)
{
    AUTO(json) struct json_object *list = NULL;

    return admin_documents(client, kind->document, NULL, &list, err) && documents_print(list, call->json, false, err);
}

static FALLIBLE history_run(struct admin_client *client, const struct remote_call *call, const struct kind *kind, struct err *err)
{
    AUTO(json) struct json_object *list = NULL;

    const char *name = call->name ? call->name : kind->name;

    return admin_documents(client, kind->document, name, &list, err) &&
           (json_object_array_length(list) > 0 || fail_with(err, ERR_NOT_FOUND, "there never was a %s %s", kind->document, name)) &&
           documents_print(list, call->json, true, err);
}

static const struct verb {
    const char *name;
    size_t      n_operands;
    FALLIBLE  (*run)(struct admin_client *client, const struct remote_call *call, const struct kind *kind, struct err *err);
} VERBS[] = { { "set", 2, set_run }, { "unset", 1, unset_run }, { "list", 1, list_run }, { "history", 1, history_run } };

static const struct kind *kind_named(const char *word)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].word, word) == 0)
            return &KINDS[i];
    }
    return NULL;
}

static FALLIBLE remote_run(const struct verb *verb, const struct remote_call *call, const struct kind *kind, struct err *err)
{
    AUTO(admin_client) struct admin_client *client = NULL;

    return broker_access_open(&call->access, &client, err) && verb->run(client, call, kind, err);
}

/* argv[0] is the verb: policy.c has found it in its table. */
int policy_remote(int argc, char **argv)
{
    struct remote_call      call   = { 0 };
    const struct option_row rows[] = {
        BROKER_ACCESS_ROWS(&call.access),
        { "name", OPTION_TEXT, &call.name, "NAME", "attestation: default_cpu, or TENANT_cpu for a tenant alone; resource: \"*\", REPO, REPO/TYPE or REPO/TYPE/TAG (*)", 0, 0 },
        { "json", OPTION_FLAG, &call.json, NULL, "list, history: print JSON", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister policy", .synopsis = "set KIND FILE | unset KIND | list KIND | history KIND   [OPTION]...",
        .about = "Keeps a broker's policies. KIND is attestation (what evidence is worth) or resource (which guest may have what).",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
    };
    const struct verb   *verb = NULL;
    const struct kind   *kind;
    enum options_outcome outcome;
    char               **operands;
    size_t               n_operands;
    struct err           err;

    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        verb = strcmp(VERBS[i].name, argv[0]) == 0 ? &VERBS[i] : verb;
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err))
        return policy_fail(argv[0], &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    kind = n_operands > 0 ? kind_named(operands[0]) : NULL;
    if (!verb || !kind || n_operands != verb->n_operands) {
        (void) fail_with(&err, ERR_CONFIG, "wanted is %s", table.synopsis);
        return policy_fail(argv[0], &err);
    }
    call.operands = operands;
    if (!broker_access_check(&call.access, &err))
        return policy_fail(argv[0], &err);
    if (!remote_run(verb, &call, kind, &err)) {
        (void) policy_fail(argv[0], &err); /* prints */
        return 1;
    }
    return 0;
}
