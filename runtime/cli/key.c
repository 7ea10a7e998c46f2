/* `cloister key`: the secrets that a broker holds. */
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "runtime/cli/broker_access.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/sealing.h"
#include "runtime/cli/verb.h"

struct key_call {
    struct broker_access access;
    const char          *out;
    uint64_t             uses;
    struct option_list   initdatas, workloads;
    bool                 json;
    struct sealing       sealing;
    char               **operands; /* behind the verb */
};

static FALLIBLE secret_read(const char *path, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 };
    bool                       is_read;

    (void) buffer_grow(&content, KBS_RESOURCE_MAX); /* room at once: a growing buffer would leave copies behind */
    content.len = 0;
    is_read = strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, KBS_RESOURCE_MAX, &content, err)
                                     : file_read(path, KBS_RESOURCE_MAX, &content, err);
    if (is_read && content.len == 0)
        is_read = fail_with(err, ERR_CONFIG, "%s is empty", path);
    if (is_read)
        is_read = secret_copy(buffer_bytes(&content), out, err);
    OPENSSL_cleanse(content.at, content.capacity);
    return is_read;
}

static FALLIBLE key_put(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    AUTO(secret) struct secret value = { 0 };

    if (!secret_read(call->operands[1], &value, err) ||
        !admin_resource_put_counted(client, call->operands[0], &value, call->uses, err))
        return false;
    printf("stored %s: %zu bytes\n", call->operands[0], secret_expose(&value).len);
    return true;
}

static FALLIBLE key_get(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    AUTO(secret) struct secret value = { 0 };

    if (!admin_resource_get(client, call->operands[0], &value, err))
        return false;
    return call->out ? file_write(call->out, secret_expose(&value), 0600, err)
                     : write_all(STDOUT_FILENO, secret_expose(&value), err);
}

static FALLIBLE key_rm(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;

    if (!admin_resource_remove(client, call->operands[0], err))
        return false;
    printf("removed %s\n", call->operands[0]);
    return true;
}

static struct json_object *list_of(const struct option_list *texts)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < texts->n; i++) {
        if (json_object_array_add(list, json_object_new_string(texts->at[i])) != 0)
            abort();
    }
    return list;
}

/* Whatever the policies say, only these guests may have it. */
static FALLIBLE key_bind(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    AUTO(json) struct json_object *binding  = json_object_new_object();
    AUTO(buffer) struct buffer     text     = { 0 };
    struct admin_document          document = { .kind = "binding" };
    uint64_t                       version;

    if (call->initdatas.n + call->workloads.n == 0)
        return fail_with(err, ERR_CONFIG, "bind to what? give --initdata HEX, --workload DIGEST or both");
    if (call->initdatas.n > 0)
        json_add(binding, "initdata", list_of(&call->initdatas));
    if (call->workloads.n > 0)
        json_add(binding, "workload", list_of(&call->workloads));
    json_write(binding, &text);
    document.text = buffer_bytes(&text);
    if (!rcar_path_of_uri(call->operands[0], &document.name, err) || !admin_document_put(client, &document, &version, err))
        return false;
    printf("bound %s\n", call->operands[0]);
    return true;
}

static FALLIBLE key_unbind(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    const char *path;

    if (!rcar_path_of_uri(call->operands[0], &path, err) || !admin_document_remove(client, "binding", path, err))
        return false;
    printf("unbound %s\n", call->operands[0]);
    return true;
}

/* After a volume's backup was put back on purpose: from then on the broker takes whatever state comes first. */
static FALLIBLE key_rewind(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    const char *path;

    if (!rcar_path_of_uri(call->operands[0], &path, err))
        return false;
    if (!admin_document_remove(client, "volume-epoch", path, err))
        return err->kind == ERR_NOT_FOUND &&
               fail_with(err, ERR_NOT_FOUND, "the broker knows no volume of %.120s: there is nothing to rewind", call->operands[0]);
    printf("rewound %s: the next copy of its volume that a guest opens counts, whatever its age\n", call->operands[0]);
    return true;
}

static FALLIBLE resource_print(struct json_object *one, struct err *err)
{
    const char *path;
    uint64_t    len, changed, uses;
    char        date[32];
    time_t      at;
    struct tm   tm;

    if (!json_get_text(one, "path", &path, err) || !json_get_u64(one, "len", UINT32_MAX, &len, err) ||
        !json_get_u64(one, "changed", INT64_MAX, &changed, err))
        return context(err, "the broker's list");
    at = (time_t) changed;
    if (!gmtime_r(&at, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return fail_with(err, ERR_MALFORMED, "the broker's list: a date out of range");
    printf("%s  %7" PRIu64 "  kbs:///%s", date, len, path);
    if (json_has(one, "uses")) {
        if (!json_get_u64(one, "uses", UINT32_MAX, &uses, err))
            return context(err, "the broker's list");
        printf("  %" PRIu64 " uses left", uses);
    }
    printf("\n");
    return true;
}

static FALLIBLE key_list(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    AUTO(json) struct json_object *list = NULL;

    if (!admin_resources(client, &list, err))
        return false;
    if (call->json) {
        AUTO(buffer) struct buffer text = { 0 };

        json_write(list, &text);
        (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
        return true;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!resource_print(json_object_array_get_idx(list, i), err))
            return false;
    }
    return true;
}

/* These two ask no broker: the client is NULL. */
static FALLIBLE key_seal(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    AUTO(buffer) struct buffer text    = { 0 };
    struct sealing             sealing = call->sealing;

    (void) client;
    sealing.uri = call->operands[0];
    if (!sealing_make(&sealing, &text, err))
        return false;
    (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
    return true;
}

static FALLIBLE key_signer(struct admin_client *client, const void *owner, struct err *err)
{
    const struct key_call *call = owner;
    AUTO(buffer) struct buffer text = { 0 };

    (void) client;
    if (!sealing_signer(call->operands[0], &text, err))
        return false;
    (void) puts(buffer_text(&text)); /* as above */
    return true;
}

static FALLIBLE uri_check(char **operands, struct err *err)
{
    const char *path;

    return rcar_path_of_uri(operands[0], &path, err) ||
           fail_with(err, ERR_CONFIG, "\"%.80s\" is not of the form kbs:///REPOSITORY/TYPE/TAG, such as kbs:///default/image-key/1", operands[0]);
}

static const struct verb VERBS[] = {
    { "put", 2, key_put, uri_check },
    { "get", 1, key_get, uri_check },
    { "list", 0, key_list },
    { "rm", 1, key_rm, uri_check },
    { "bind", 1, key_bind, uri_check },
    { "unbind", 1, key_unbind, uri_check },
    { "rewind", 1, key_rewind, uri_check },
    { "seal", 1, key_seal, .is_offline = true },
    { "signer", 1, key_signer, .is_offline = true },
};

int cmd_key(int argc, char **argv)
{
    struct key_call         call   = { 0 };
    const struct option_row rows[] = {
        BROKER_ACCESS_ROWS(&call.access),
        { "out", OPTION_TEXT, &call.out, "FILE", "get: write here, mode 0600, not to standard output", 0, 0 },
        { "uses", OPTION_NUMBER, &call.uses, "N", "put: the broker gives it to guests N times, then no more", 1, 1000000 },
        { "initdata", OPTION_LIST, &call.initdatas, "HEX", "bind: only to guests with this digest of initdata", 0, 0 },
        { "workload", OPTION_LIST, &call.workloads, "NAME", "bind: only to guests whose initdata allows this image, by name or digest", 0, 0 },
        { "kid", OPTION_TEXT, &call.sealing.kid, "URI", "seal: where the broker keeps the signer's public key", 0, 0 },
        { "signer", OPTION_TEXT, &call.sealing.signer, "FILE", "seal: the private key, PEM, P-256", 0, 0 },
        { "secret", OPTION_TEXT, &call.sealing.secret, "FILE", "seal: put this content into the text, encrypted; URI is the key for it", 0, 0 },
        { "key", OPTION_TEXT, &call.sealing.wrap_by, "FILE", "seal: the 32 bytes of that key", 0, 0 },
        { "json", OPTION_FLAG, &call.json, NULL, "list: print JSON", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister key", .synopsis = "put URI FILE | get URI | list | rm URI | bind URI | unbind URI | rewind URI | seal URI | signer FILE   [OPTION]...",
        .about = "Keeps secrets at a broker. URI is kbs:///REPOSITORY/TYPE/TAG; FILE - is standard input.\n"
                 "seal prints a text for a variable or a file, which only an attested guest can open; signer prints the\n"
                 "public half of the key that signs it, for put, and makes FILE if there is none.",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
    };

    return verbs_run("key", &table, VERBS, sizeof VERBS / sizeof *VERBS, &call.access, &call, &call.operands, argc, argv);
}
