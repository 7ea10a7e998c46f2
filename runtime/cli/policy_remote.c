/* `cloister policy set`, `unset`, `list` and `history`: the policies that a broker decides by. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "runtime/cli/broker_access.h"
#include "runtime/cli/document_print.h"
#include "runtime/cli/policy.h"
#include "runtime/cli/verb.h"

enum { POLICY_FILE_MAX = 1 << 20, NAMES_SHOWN = 8 };

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

/* For which secrets it counts: a slip in the name would otherwise go unseen. */
static void scope_print(const struct kind *kind, const char *name)
{
    const char *class = strrchr(name, '_');

    if (strcmp(name, kind->name) == 0)
        printf(": counts for all secrets%s\n", kind == &KINDS[0] ? "" : " without a policy of their own");
    else if (kind == &KINDS[0])
        printf(": counts for the secrets of %.*s/ only\n", (int) (class ? class - name : 0), name);
    else
        printf(": counts for %s%s only\n", name, strchr(name, '/') && strchr(strchr(name, '/') + 1, '/') ? "" : "/");
}

/* One of KINDS: the verbs' check has seen it. */
static const struct kind *kind_named(const char *word)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].word, word) == 0)
            return &KINDS[i];
    }
    return NULL;
}

static FALLIBLE kind_check(char **operands, struct err *err)
{
    const char *words[] = { KINDS[0].word, KINDS[1].word };
    const char *meant   = word_meant(operands[0], words, 2);

    return kind_named(operands[0]) ||
           (meant ? fail_with(err, ERR_CONFIG, "there is no kind \"%.40s\": did you mean %s?", operands[0], meant)
                  : fail_with(err, ERR_CONFIG, "there is no kind \"%.40s\"; there are attestation (what evidence is worth) and "
                              "resource (which guest may have what)", operands[0]));
}

static FALLIBLE set_run(struct admin_client *client, const void *owner, struct err *err)
{
    const struct remote_call  *call     = owner;
    const struct kind         *kind     = kind_named(call->operands[0]);
    AUTO(buffer) struct buffer text     = { 0 };
    struct admin_document      document = { .kind = kind->document, .name = call->name ? call->name : kind->name };
    uint64_t                   version;

    if (!file_read(call->operands[1], POLICY_FILE_MAX, &text, err))
        return false;
    document.text = buffer_bytes(&text);
    if (!admin_document_put(client, &document, &version, err))
        return context(err, call->operands[1]);
    printf("%s %s version %" PRIu64, kind->document, document.name, version);
    scope_print(kind, document.name);
    return true;
}

/* What there is instead: a name that was probably meant, else some. */
static FALLIBLE names_advise(struct admin_client *client, const struct kind *kind, const char *name, struct err *err)
{
    AUTO(json) struct json_object *list = NULL;
    AUTO(buffer) struct buffer     all  = { 0 };
    const char                    *names[NAMES_SHOWN], *meant;
    size_t                         n = 0;
    struct err                     ignored; /* then the first failure is told alone */

    if (err->kind != ERR_NOT_FOUND || !admin_documents(client, kind->document, NULL, &list, &ignored))
        return false;
    for (size_t i = 0; i < json_object_array_length(list) && n < NAMES_SHOWN; i++) {
        if (json_get_text(json_object_array_get_idx(list, i), "name", &names[n], &ignored))
            buffer_printf(&all, "%s%.40s", n ? ", " : "", names[n]), n++;
    }
    meant = word_meant(name, names, n);
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "there is no %s %.64s, nor any other", kind->document, name);
    if (meant)
        return fail_with(err, ERR_NOT_FOUND, "there is no %s %.64s: did you mean %.64s?", kind->document, name, meant);
    return fail_with(err, ERR_NOT_FOUND, "there is no %s %.64s; there are %.120s", kind->document, name, buffer_text(&all));
}

static FALLIBLE unset_run(struct admin_client *client, const void *owner, struct err *err)
{
    const struct remote_call *call = owner;
    const struct kind        *kind = kind_named(call->operands[0]);
    const char               *name = call->name ? call->name : kind->name;

    if (!admin_document_remove(client, kind->document, name, err))
        return names_advise(client, kind, name, err);
    printf("%s %s removed\n", kind->document, name);
    return true;
}

static FALLIBLE list_run(struct admin_client *client, const void *owner, struct err *err)
{
    const struct remote_call      *call = owner;
    AUTO(json) struct json_object *list = NULL;

    return admin_documents(client, kind_named(call->operands[0])->document, NULL, &list, err) && documents_print(list, call->json, false, err);
}

static FALLIBLE history_run(struct admin_client *client, const void *owner, struct err *err)
{
    const struct remote_call      *call = owner;
    const struct kind             *kind = kind_named(call->operands[0]);
    const char                    *name = call->name ? call->name : kind->name;
    AUTO(json) struct json_object *list = NULL;

    return admin_documents(client, kind->document, name, &list, err) &&
           (json_object_array_length(list) > 0 || fail_with(err, ERR_NOT_FOUND, "there never was a %s %s", kind->document, name)) &&
           documents_print(list, call->json, true, err);
}

static const struct verb VERBS[] = {
    { "set", 2, set_run, kind_check },
    { "unset", 1, unset_run, kind_check },
    { "list", 1, list_run, kind_check },
    { "history", 1, history_run, kind_check },
};

/* argv[0] is the verb, which policy.c has found in its table; before it stands the command. */
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

    return verbs_run("policy", &table, VERBS, sizeof VERBS / sizeof *VERBS, &call.access, &call, &call.operands, argc + 1, argv - 1);
}
