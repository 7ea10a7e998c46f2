/* `cloister audit`: a broker's log of every decision, and whether it was only ever added to. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cli/broker_access.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"

enum { HEAD_FILE_MAX = 4096, ENTRY_MAX = 64 << 10 };

struct audit_call {
    struct broker_access access;
    const char          *head_file;
    bool                 json;
    char               **operands; /* behind the verb */
};

/* ---- reading the whole log ---- */

/* What is made of each entry, in order. */
struct reading {
    struct merkle tree;
    FALLIBLE    (*entry)(struct reading *reading, uint64_t seq, const char *text, struct err *err);
    const struct audit_head *known; /* an older head to find on the way; NULL */
    bool          known_holds;
    bool          json;
};

static FALLIBLE log_read(struct admin_client *client, uint64_t size, struct reading *reading, struct err *err)
{
    while (reading->tree.size < size) {
        AUTO(json) struct json_object *entries = NULL;
        size_t                         n;

        if (!admin_audit_entries(client, reading->tree.size, &entries, err))
            return false;
        n = json_object_array_length(entries);
        if (n == 0)
            return fail_with(err, ERR_UNTRUSTED, "the log ends at %" PRIu64 ", but its signed head says %" PRIu64,
                             reading->tree.size, size);
        for (size_t i = 0; i < n && reading->tree.size < size; i++) {
            struct json_object *one = json_object_array_get_idx(entries, i);
            const char         *text = json_object_is_type(one, json_type_string) ? json_object_get_string(one) : "";
            struct merkle_hash  leaf = merkle_leaf(bytes_of_text(text));

            if (!reading->entry(reading, reading->tree.size, text, err))
                return false;
            merkle_add(&reading->tree, &leaf);
            if (reading->known && reading->known->size == reading->tree.size) {
                struct merkle_hash root = merkle_root(&reading->tree);

                reading->known_holds = bytes_equal(BYTES_OF(root.at), BYTES_OF(reading->known->root.at));
            }
        }
    }
    return true;
}

static const char *text_or(struct json_object *from, const char *name, const char *otherwise)
{
    const char *text;
    struct err  ignored; /* a member that is not there has a stand-in */

    return json_get_text(from, name, &text, &ignored) ? text : otherwise;
}

static FALLIBLE entry_print(struct reading *reading, uint64_t seq, const char *text, struct err *err)
{
    AUTO(json) struct json_object *entry = NULL;
    AUTO(buffer) struct buffer     line  = { 0 };
    AUTO(buffer) struct buffer     shown = { 0 };
    uint64_t                       at;
    time_t                         when;
    char                           date[32];
    struct tm                      tm;

    if (reading->json) {
        printf("%s\n", text);
        return true;
    }
    if (!json_read(bytes_of_text(text), ENTRY_MAX, &entry, err) || !json_get_u64(entry, "at", INT64_MAX, &at, err))
        return contextf(err, "entry %" PRIu64, seq);
    when = (time_t) at;
    if (!gmtime_r(&when, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return fail_with(err, ERR_MALFORMED, "entry %" PRIu64 ": a date out of range", seq);
    buffer_printf(&line, "%s %s %s", text_or(entry, "event", "?"), text_or(entry, "action", text_or(entry, "verdict", "?")),
                  text_or(entry, "resource", text_or(entry, "subject", "")));
    if (json_has(entry, "who"))
        buffer_printf(&line, " by %s", text_or(entry, "who", "?"));
    if (json_has(entry, "measurement"))
        buffer_printf(&line, " to %s %.16s", text_or(entry, "tee", "?"), text_or(entry, "measurement", ""));
    if (json_has(entry, "reason"))
        buffer_printf(&line, ": %s", text_or(entry, "reason", ""));
    printable_append(&shown, buffer_bytes(&line), 400);
    printf("%6" PRIu64 "  %s  %s\n", seq, date, buffer_text(&shown));
    return true;
}

static FALLIBLE entry_passes(struct reading *reading, uint64_t seq, const char *text, struct err *err)
{
    (void) reading;
    (void) seq;
    (void) text;
    (void) err;
    return true;
}

/* ---- the head that was seen last time ---- */

static FALLIBLE head_load(const char *path, struct audit_head *out, bool *found, struct err *err)
{
    AUTO(buffer) struct buffer     content = { 0 };
    AUTO(json) struct json_object *read    = NULL;
    const char                    *root;

    *found = false;
    if (!file_read(path, HEAD_FILE_MAX, &content, err))
        return err->kind == ERR_NOT_FOUND;
    if (!json_read(buffer_bytes(&content), HEAD_FILE_MAX, &read, err) ||
        !json_get_u64(read, "size", INT64_MAX, &out->size, err) || !json_get_text(read, "root", &root, err) ||
        !hex_read_exact(root, out->root.at, sizeof out->root.at, err))
        return context(err, path);
    *found = out->size > 0;
    return true;
}

static FALLIBLE head_save(const char *path, const struct audit_head *head, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    buffer_printf(&text, "{\"size\":%" PRIu64 ",\"root\":\"", head->size);
    hex_append(&text, BYTES_OF(head->root.at));
    buffer_append_text(&text, "\"}\n");
    return file_write(path, buffer_bytes(&text), 0644, err);
}

/* ---- the verbs ---- */

static FALLIBLE audit_list(struct admin_client *client, const void *owner, struct err *err)
{
    const struct audit_call *call = owner;
    struct reading    reading = { .entry = entry_print, .json = call->json };
    struct audit_head head;

    return admin_audit_head(client, &head, err) && log_read(client, head.size, &reading, err);
}

static FALLIBLE audit_verify(struct admin_client *client, const void *owner, struct err *err)
{
    const struct audit_call *call = owner;
    struct audit_head   head, known;
    bool                has_known = false;
    struct merkle_hash  root;
    struct reading      reading = { .entry = entry_passes };
    AUTO(buffer) struct buffer hex = { 0 };

    if (call->head_file && !head_load(call->head_file, &known, &has_known, err))
        return false;
    reading.known = has_known ? &known : NULL;
    if (!admin_audit_head(client, &head, err))
        return false;
    if (has_known && head.size < known.size)
        return fail_with(err, ERR_UNTRUSTED, "the log shrank: it had %" PRIu64 " entries and has %" PRIu64, known.size,
                         head.size);
    if (!log_read(client, head.size, &reading, err))
        return false;
    root = merkle_root(&reading.tree);
    if (!bytes_equal(BYTES_OF(root.at), BYTES_OF(head.root.at)))
        return fail_with(err, ERR_UNTRUSTED, "the entries do not hash to the signed root");
    if (has_known && !reading.known_holds)
        return fail_with(err, ERR_UNTRUSTED, "the log was rewritten: its first %" PRIu64 " entries are not those of %s",
                         known.size, call->head_file);
    hex_append(&hex, BYTES_OF(root.at));
    if (call->json)
        printf("{\"size\":%" PRIu64 ",\"root\":\"%s\",\"grown\":%s}\n", head.size, buffer_text(&hex), has_known ? "true" : "null");
    else
        printf("%" PRIu64 " entries, root %s%s\n", head.size, buffer_text(&hex),
               has_known ? ", grown from the head known before" : "");
    return !call->head_file || head_save(call->head_file, &head, err);
}

/* The entry as it was hashed, then the proof; with --json in one object, the entry as the text that it is. */
static void proof_print(const struct audit_call *call, const char *entry, const struct merkle_proof *proof)
{
    AUTO(json) struct json_object *whole = json_object_new_object();
    AUTO(buffer) struct buffer     text  = { 0 };
    struct json_object            *path  = json_object_new_array();

    json_add_text(whole, "entry", entry);
    json_add(whole, "proof", path);
    if (!call->json)
        printf("%s\n", entry);
    for (size_t i = 0; i < proof->n; i++) {
        AUTO(buffer) struct buffer hex = { 0 };

        hex_append(&hex, BYTES_OF(proof->at[i].at));
        if (!call->json)
            printf("%s\n", buffer_text(&hex));
        if (json_object_array_add(path, json_object_new_string(buffer_text(&hex))) != 0)
            abort();
    }
    json_write(whole, &text);
    if (call->json)
        printf("%s\n", buffer_text(&text));
}

static FALLIBLE audit_prove(struct admin_client *client, const void *owner, struct err *err)
{
    const struct audit_call *call = owner;
    AUTO(json) struct json_object *entries = NULL;
    struct audit_head              head;
    struct merkle_proof            proof;
    struct merkle_hash             leaf;
    char                          *end = NULL;
    unsigned long long             index;
    const char                    *text;

    errno = 0;
    index = strtoull(call->operands[0], &end, 10);
    if (call->operands[0][0] < '0' || call->operands[0][0] > '9' || *end != 0 || errno != 0)
        return fail_with(err, ERR_CONFIG, "\"%.40s\" is not a number; `cloister audit list` shows them", call->operands[0]);
    if (!admin_audit_head(client, &head, err))
        return false;
    if (index >= head.size)
        return fail_with(err, ERR_NOT_FOUND, "there is no entry %llu; the log has %" PRIu64, index, head.size);
    if (!admin_audit_entries(client, index, &entries, err) ||
        !admin_audit_inclusion(client, index, head.size, &proof, err))
        return false;
    text = json_object_get_string(json_object_array_get_idx(entries, 0));
    leaf = merkle_leaf(bytes_of_text(text));
    if (!text || !merkle_check_inclusion(&leaf, index, head.size, &proof, &head.root))
        return fail_with(err, ERR_UNTRUSTED, "entry %llu is not in the signed tree", index);
    proof_print(call, text, &proof);
    return true;
}

static const struct verb VERBS[] = {
    { "list", 0, audit_list },
    { "verify", 0, audit_verify },
    { "prove", 1, audit_prove },
};

int cmd_audit(int argc, char **argv)
{
    struct audit_call       call   = { 0 };
    const struct option_row rows[] = {
        BROKER_ACCESS_ROWS(&call.access),
        { "head", OPTION_TEXT, &call.head_file, "FILE", "verify: the head seen last time; kept there for the next", 0, 0 },
        { "json", OPTION_FLAG, &call.json, NULL, "print JSON; list: the entries as they are, one object a line", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister audit", .synopsis = "list | verify [--head FILE] | prove NUMBER   [OPTION]...",
        .about = "Shows a broker's log of every decision, and checks that it holds together and only grew.",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
    };

    return verbs_run("audit", &table, VERBS, sizeof VERBS / sizeof *VERBS, &call.access, &call, &call.operands, argc, argv);
}
