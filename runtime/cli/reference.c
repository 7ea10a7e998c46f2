/* `cloister reference`: what a broker expects of a guest before it releases anything to it. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/api/limits.h"
#include "runtime/cli/broker_access.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/document_print.h"
#include "runtime/cli/verb.h"

enum { DAY = 86400, DAYS_MAX = 36500, KEY_FILE_MAX = 64 << 10 };

struct reference_call {
    struct broker_access access;
    const char          *tee, *resource, *name, *rvps, *corim, *manifest, *sign_key;
    struct option_list   measurements, initdatas, values, numbers;
    uint64_t             days;
    bool                 json;
    char               **operands; /* behind the verb */
    struct json_object  *added;    /* for --json: what the broker took, in order */
};

/* What was added, for a person at once, for a script in one array at the end. `what` is handed over. */
static void added(const struct reference_call *call, const char *text, struct json_object *what)
{
    if (!call->json)
        printf("%s\n", text);
    if (json_object_array_add(call->added, what) != 0)
        abort();
}

static void value_added(const struct reference_call *call, const struct admin_reference *reference, uint64_t id)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct json_object        *what = json_object_new_object();

    buffer_printf(&text, "reference %" PRIu64 " added: %s %s for %s", id, reference->tee, reference->kind,
                  reference->resource ? reference->resource : "all resources");
    json_add(what, "reference", json_object_new_uint64(id));
    json_add_text(what, "kind", reference->kind);
    json_add_text(what, "value", reference->value);
    added(call, buffer_text(&text), what);
}

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
        value_added(call, &reference, id);
    }
    return true;
}

static FALLIBLE values_list(const struct reference_call *call, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < call->values.n; i++) {
        if (json_object_array_add(list, json_object_new_string(call->values.at[i])) != 0)
            abort();
    }
    for (size_t i = 0; i < call->numbers.n; i++) {
        char     *end    = NULL;
        long long number = strtoll(call->numbers.at[i], &end, 10);

        if (call->numbers.at[i][0] == 0 || *end != 0)
            return fail_with(err, ERR_CONFIG, "--number %.40s is no whole number", call->numbers.at[i]);
        if (json_object_array_add(list, json_object_new_int64(number)) != 0)
            abort();
    }
    *out = TAKE(list);
    return true;
}

/* Into the list that attestation policies ask for by this name. */
static FALLIBLE add_named(struct admin_client *client, const struct reference_call *call, struct err *err)
{
    AUTO(json) struct json_object *list     = NULL;
    AUTO(buffer) struct buffer     text     = { 0 }, said = { 0 };
    struct admin_document          document = { .kind = "reference-value", .name = call->name, .adds = true };
    struct json_object            *what;
    uint64_t                       version;

    if (call->values.n + call->numbers.n == 0)
        return fail_with(err, ERR_CONFIG, "--name wants --value TEXT or --number N");
    if (!values_list(call, &list, err))
        return false;
    json_write(list, &text);
    document.text = buffer_bytes(&text);
    if (call->days > 0)
        document.expires = (uint64_t) time(NULL) + call->days * DAY;
    if (!admin_document_put(client, &document, &version, err))
        return context(err, call->name);
    buffer_printf(&said, "reference %s version %" PRIu64, call->name, version);
    what = json_object_new_object();
    json_add_text(what, "name", call->name);
    json_add(what, "version", json_object_new_uint64(version));
    added(call, buffer_text(&said), what);
    return true;
}

/* A file as the payload of an RVPS message of this type; an RVPS message itself goes as it is. */
static FALLIBLE add_file(struct admin_client *client, const struct reference_call *call, const char *path, const char *type,
                         struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 }, message = { 0 }, said = { 0 };
    struct json_object        *what;

    if (!path)
        return true;
    if (!file_read(path, KBS_RESOURCE_MAX, &content, err))
        return false;
    while (type && strcmp(type, "jws") == 0 && content.len > 0 && content.at[content.len - 1] == '\n')
        content.len--;
    if (type) {
        buffer_printf(&message, "{\"version\":\"0.1.0\",\"type\":\"%s\",\"payload\":\"", type);
        base64_append(&message, buffer_bytes(&content), BASE64_STANDARD);
        buffer_append_text(&message, "\"}");
    }
    if (!admin_reference_message(client, buffer_bytes(type ? &message : &content), err))
        return context(err, path);
    buffer_printf(&said, "references of %s added", path);
    what = json_object_new_object();
    json_add_text(what, "file", path);
    added(call, buffer_text(&said), what);
    return true;
}

static FALLIBLE add_each(struct admin_client *client, const struct reference_call *call, struct err *err)
{
    if (call->measurements.n + call->initdatas.n == 0 && !call->name && !call->rvps && !call->corim && !call->manifest)
        return fail_with(err, ERR_CONFIG, "nothing to add: give --measurement HEX, --initdata HEX or both; or --name, --rvps, "
                                          "--corim, --manifest");
    return add_all(client, call, "measurement", &call->measurements, err) &&
           add_all(client, call, "initdata", &call->initdatas, err) && (!call->name || add_named(client, call, err)) &&
           add_file(client, call, call->rvps, NULL, err) && add_file(client, call, call->corim, "corim", err) &&
           add_file(client, call, call->manifest, "jws", err);
}

/* Also when one is refused, what was added before it is told. */
static FALLIBLE reference_add(struct admin_client *client, const void *owner, struct err *err)
{
    const struct reference_call *call = owner;
    AUTO(json) struct json_object *list    = json_object_new_array();
    struct reference_call          telling = *call;
    bool                           is_done;

    if (!call->name && call->values.n + call->numbers.n > 0)
        return fail_with(err, ERR_CONFIG, "--value and --number want --name NAME: the list that they are added to");
    telling.added = list;
    is_done       = add_each(client, &telling, err);
    return (!call->json || documents_print(list, true, false, err)) && is_done;
}

static FALLIBLE reference_history(struct admin_client *client, const void *owner, struct err *err)
{
    const struct reference_call *call = owner;
    AUTO(json) struct json_object *list = NULL;

    return admin_documents(client, "reference-value", call->operands[0], &list, err) &&
           (json_object_array_length(list) > 0 ||
            fail_with(err, ERR_NOT_FOUND, "there never was a reference value %s", call->operands[0])) &&
           documents_print(list, call->json, true, err);
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

static FALLIBLE reference_list(struct admin_client *client, const void *owner, struct err *err)
{
    const struct reference_call *call = owner;
    AUTO(json) struct json_object *list = NULL, *named = NULL;

    if (!admin_references(client, &list, err) || !admin_documents(client, "reference-value", NULL, &named, err))
        return false;
    if (call->json) {
        AUTO(json) struct json_object *both = json_object_new_object();
        AUTO(buffer) struct buffer     text = { 0 };

        json_add(both, "references", json_object_get(list));
        json_add(both, "values", json_object_get(named));
        json_write(both, &text);
        (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
        return true;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!reference_print(json_object_array_get_idx(list, i), err))
            return false;
    }
    return documents_print(named, false, true, err);
}

static FALLIBLE reference_rm(struct admin_client *client, const void *owner, struct err *err)
{
    const struct reference_call *call = owner;
    char              *end = NULL;
    unsigned long long id;
    bool               is_removed;

    errno = 0;
    id    = strtoull(call->operands[0], &end, 10);
    if (call->operands[0][0] < '1' || call->operands[0][0] > '9' || *end != 0 || errno != 0)
        is_removed = admin_document_remove(client, "reference-value", call->operands[0], err);
    else
        is_removed = admin_reference_remove(client, id, err);
    if (is_removed)
        printf("reference %s removed\n", call->operands[0]);
    return is_removed;
}

/* Needs no broker: where images are built, a signer makes what an administrator hands over. */
static FALLIBLE reference_sign(struct admin_client *client, const void *owner, struct err *err)
{
    const struct reference_call *call = owner;
    AUTO(buffer) struct buffer     key = { 0 }, text = { 0 }, manifest = { 0 };
    AUTO(json) struct json_object *values = NULL;
    bool                           is_signed;

    (void) client;
    if (!call->sign_key)
        return fail_with(err, ERR_CONFIG, "--sign-key FILE is wanted: the signer's private key");
    if (!secret_heap_open(err) || !file_read(call->operands[0], KBS_RESOURCE_MAX, &text, err))
        return false;
    if (!json_read(buffer_bytes(&text), KBS_RESOURCE_MAX, &values, err))
        return context(err, call->operands[0]);
    if (!file_read(call->sign_key, KEY_FILE_MAX, &key, err))
        return false;
    is_signed = admin_manifest_sign(buffer_bytes(&key), values, call->days > 0 ? (uint64_t) time(NULL) + call->days * DAY : 0,
                                    &manifest, err);
    OPENSSL_cleanse(key.at, key.len);
    if (is_signed)
        (void) puts(buffer_text(&manifest)); /* a closed output is noticed by main's flush */
    return is_signed;
}

static const struct verb VERBS[] = {
    { "add", 0, reference_add },
    { "list", 0, reference_list },
    { "rm", 1, reference_rm },
    { "history", 1, reference_history },
    { "sign", 1, reference_sign, .is_offline = true },
};

int cmd_reference(int argc, char **argv)
{
    struct reference_call   call   = { .tee = "snp" };
    const struct option_row rows[] = {
        BROKER_ACCESS_ROWS(&call.access),
        { "measurement", OPTION_LIST, &call.measurements, "HEX", "add: a launch digest, as `cloister measure` prints it", 0, 0 },
        { "initdata", OPTION_LIST, &call.initdatas, "HEX", "add: a digest of initdata", 0, 0 },
        { "tee", OPTION_TEXT, &call.tee, "NAME", "add: of this TEE (snp)", 0, 0 },
        { "resource", OPTION_TEXT, &call.resource, "URI", "add: counts for this kbs:///REPOSITORY/TYPE/TAG only", 0, 0 },
        { "name", OPTION_TEXT, &call.name, "NAME", "add: to the list that attestation policies ask for by this name", 0, 0 },
        { "value", OPTION_LIST, &call.values, "TEXT", "add: with --name, such as a register in hex", 0, 0 },
        { "number", OPTION_LIST, &call.numbers, "N", "add: with --name, such as a TCB's version", 0, 0 },
        { "rvps", OPTION_TEXT, &call.rvps, "FILE", "add: a message of Trustee's RVPS, as `cloister measure --rvps` writes it", 0, 0 },
        { "corim", OPTION_TEXT, &call.corim, "FILE", "add: a CoRIM, signed or not, as `cloister measure --corim` writes it", 0, 0 },
        { "manifest", OPTION_TEXT, &call.manifest, "FILE", "add: a JWS over {\"reference-values\": {NAME: VALUE}}", 0, 0 },
        { "sign-key", OPTION_TEXT, &call.sign_key, "FILE", "sign: the signer's private key, PEM, Ed25519 or P-256", 0, 0 },
        { "days", OPTION_NUMBER, &call.days, "N", "add, sign: expires after so many days (never)", 1, DAYS_MAX },
        { "json", OPTION_FLAG, &call.json, NULL, "add, list, history: print JSON", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister reference", .synopsis = "add | list | rm NUMBER-OR-NAME | history NAME | sign FILE   [OPTION]...",
        .about = "Tells a broker which guests may have secrets: those of a registered measurement with expected initdata.",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
    };

    return verbs_run("reference", &table, VERBS, sizeof VERBS / sizeof *VERBS, &call.access, &call, &call.operands, argc, argv);
}
