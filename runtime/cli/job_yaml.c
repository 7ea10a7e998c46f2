#include "runtime/cli/job_yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/api/rcar.h"

enum { NUMBER_MAX = 1 << 30 };

struct reading {
    yaml_document_t *document;
    struct job_yaml *job;
};

static bool fail_at(const yaml_node_t *node, struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(4);
static bool fail_at(const yaml_node_t *node, struct err *err, enum err_kind kind, const char *fmt, ...)
{
    char    what[160];
    va_list args;

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof what, fmt, args); /* cut by design */
    va_end(args);
    return fail_with(err, kind, "line %zu, column %zu: %s", node->start_mark.line + 1, node->start_mark.column + 1, what);
}

/* A text that lives as long as the job; NULL, with *err filled, for what is none. */
static const char *text_of(struct reading *r, const yaml_node_t *node, const char *name, struct err *err)
{
    struct bytes raw = { node->data.scalar.value, node->data.scalar.length };

    if (node->type != YAML_SCALAR_NODE) {
        (void) fail_at(node, err, ERR_MALFORMED, "%s: a text is wanted", name); /* false is what it returns, as below */
        return NULL;
    }
    if (memchr(raw.at, 0, raw.len) || !is_utf8(raw)) {
        (void) fail_at(node, err, ERR_MALFORMED, "%s: a text without zero bytes is wanted", name);
        return NULL;
    }
    struct json_object *text = json_object_new_string_len((const char *) raw.at, (int) raw.len); /* JOB_YAML_LEN_MAX bounds it */
    if (json_object_array_add(r->job->kept, text) != 0)
        abort();
    return json_object_get_string(text);
}

/* ---- mappings: each name once, and only names that are known ---- */

struct member {
    const char *name;
    bool      (*read)(struct reading *r, const yaml_node_t *value, void *into, struct err *err);
    size_t      at; /* of what `read` fills, in the struct that `into` points to */
};

static FALLIBLE read_mapping(struct reading *r, const yaml_node_t *node, const struct member *members, size_t n, void *into, struct err *err)
{
    uint32_t seen = 0;

    if (node->type != YAML_MAPPING_NODE)
        return fail_at(node, err, ERR_MALFORMED, "names and values are wanted");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key  = yaml_document_get_node(r->document, pair->key);
        const char        *name = text_of(r, key, "name", err);
        size_t             i    = 0;

        if (!name)
            return false;
        while (i < n && strcmp(members[i].name, name) != 0)
            i++;
        if (i == n)
            return fail_at(key, err, ERR_MALFORMED, "\"%.40s\" is not known", name);
        if (seen & 1u << i)
            return fail_at(key, err, ERR_MALFORMED, "\"%s\" stands there twice", name);
        seen |= 1u << i;
        if (!members[i].read(r, yaml_document_get_node(r->document, pair->value), (char *) into + members[i].at, err))
            return false;
    }
    return true;
}

static bool read_text(struct reading *r, const yaml_node_t *value, void *into, struct err *err)
{
    const char *text = text_of(r, value, "value", err);

    *(const char **) into = text;
    return text && (*text || fail_at(value, err, ERR_MALFORMED, "an empty text"));
}

static bool read_number(struct reading *r, const yaml_node_t *value, void *into, struct err *err)
{
    const char *text = text_of(r, value, "value", err);
    char       *end;

    if (!text)
        return false;
    errno                    = 0;
    unsigned long long found = strtoull(text, &end, 10);
    if (text[0] < '1' || text[0] > '9' || *end || errno || found > NUMBER_MAX)
        return fail_at(value, err, ERR_MALFORMED, "a number from 1 to %d is wanted", NUMBER_MAX);
    *(uint64_t *) into = found;
    return true;
}

static bool read_args(struct reading *r, const yaml_node_t *value, void *into, struct err *err)
{
    struct job_yaml *job = into;

    if (value->type != YAML_SEQUENCE_NODE)
        return fail_at(value, err, ERR_MALFORMED, "args: a list is wanted");
    for (yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(r->document, *item);
        const char        *text = text_of(r, node, "args", err);

        if (!text)
            return false;
        if (job->n_args == JOB_YAML_ARGS_MAX)
            return fail_at(node, err, ERR_LIMIT, "args: over %d", JOB_YAML_ARGS_MAX);
        job->args[job->n_args++] = (char *) (uintptr_t) text; /* never written: argv's type */
    }
    return true;
}

static bool read_env(struct reading *r, const yaml_node_t *value, void *into, struct err *err)
{
    struct option_list *env = into;

    if (value->type != YAML_MAPPING_NODE)
        return fail_at(value, err, ERR_MALFORMED, "env: names and values are wanted");
    for (yaml_node_pair_t *pair = value->data.mapping.pairs.start; pair < value->data.mapping.pairs.top; pair++) {
        const yaml_node_t         *key  = yaml_document_get_node(r->document, pair->key);
        const char                *name = text_of(r, key, "env", err);
        const char                *text = name ? text_of(r, yaml_document_get_node(r->document, pair->value), "env", err) : NULL;
        AUTO(buffer) struct buffer entry = { 0 };

        if (!text)
            return false;
        if (!*name || strchr(name, '='))
            return fail_at(key, err, ERR_MALFORMED, "env: a name has at least one character and no =");
        for (size_t i = 0; i < env->n; i++)
            if (strncmp(env->at[i], name, strlen(name)) == 0 && env->at[i][strlen(name)] == '=')
                return fail_at(key, err, ERR_MALFORMED, "env: \"%.40s\" stands there twice", name);
        if (env->n == OPTION_LIST_MAX)
            return fail_at(key, err, ERR_LIMIT, "env: over %d", OPTION_LIST_MAX);
        buffer_printf(&entry, "%s=%s", name, text);
        struct json_object *kept = json_object_new_string(buffer_text(&entry));
        if (json_object_array_add(r->job->kept, kept) != 0)
            abort();
        env->at[env->n++] = json_object_get_string(kept);
    }
    return true;
}

/* ---- volumes ---- */

struct volume_texts {
    const char *name, *file, *path, *key, *mode;
};

static const struct member volume_members[] = {
    { "name", read_text, offsetof(struct volume_texts, name) }, { "file", read_text, offsetof(struct volume_texts, file) },
    { "path", read_text, offsetof(struct volume_texts, path) }, { "key", read_text, offsetof(struct volume_texts, key) },
    { "mode", read_text, offsetof(struct volume_texts, mode) },
};

static FALLIBLE add_volume(const yaml_node_t *node, const struct volume_texts *v, struct pod_volumes *volumes, struct err *err)
{
    struct pod_volume *out = &volumes->at[volumes->n];
    const char        *of_broker;
    struct err         no_uri;

    if (!v->name || !v->file || !v->path)
        return fail_at(node, err, ERR_MALFORMED, "a volume has name, file and path");
    if (strlen(v->name) >= sizeof out->name || strspn(v->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(v->name) || *v->name == '-')
        return fail_at(node, err, ERR_MALFORMED, "a volume's name has 1 to %d of a-z, 0-9 and, not first, -", VOLUME_DISK_NAME_MAX);
    if (v->path[0] != '/' || strlen(v->path) >= sizeof out->path || strlen(v->file) >= sizeof out->file)
        return fail_at(node, err, ERR_MALFORMED, "volume %s: an absolute path is wanted", v->name);
    if (v->mode && strcmp(v->mode, "rw") != 0 && strcmp(v->mode, "ro") != 0 && strcmp(v->mode, "new") != 0)
        return fail_at(node, err, ERR_MALFORMED, "volume %s: mode is rw, ro or new", v->name);
    if (v->key && (strlen(v->key) >= sizeof out->key || !rcar_path_of_uri(v->key, &of_broker, &no_uri)))
        return fail_at(node, err, ERR_MALFORMED, "volume %s: key is kbs:///REPOSITORY/TYPE/TAG", v->name);
    for (size_t i = 0; i < volumes->n; i++)
        if (strcmp(volumes->at[i].name, v->name) == 0)
            return fail_at(node, err, ERR_MALFORMED, "volume %s: stands there twice", v->name);
    (void) snprintf(out->name, sizeof out->name, "%s", v->name); /* their lengths were compared */
    (void) snprintf(out->file, sizeof out->file, "%s", v->file);
    (void) snprintf(out->path, sizeof out->path, "%s", v->path);
    if (v->key)
        (void) snprintf(out->key, sizeof out->key, "%s", v->key);
    else
        (void) snprintf(out->key, sizeof out->key, "kbs:///default/volume/%s", v->name); /* fits */
    out->read_only = v->mode && strcmp(v->mode, "ro") == 0;
    out->format    = v->mode && strcmp(v->mode, "new") == 0;
    volumes->n++;
    return true;
}

static bool read_volumes(struct reading *r, const yaml_node_t *value, void *into, struct err *err)
{
    struct pod_volumes *volumes = into;

    if (value->type != YAML_SEQUENCE_NODE)
        return fail_at(value, err, ERR_MALFORMED, "volumes: a list is wanted");
    for (yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++) {
        const yaml_node_t  *node  = yaml_document_get_node(r->document, *item);
        struct volume_texts texts = { 0 };

        if (volumes->n == VOLUME_DISKS_MAX)
            return fail_at(node, err, ERR_LIMIT, "volumes: over %d", VOLUME_DISKS_MAX);
        if (!read_mapping(r, node, volume_members, sizeof volume_members / sizeof *volume_members, &texts, err) ||
            !add_volume(node, &texts, volumes, err))
            return false;
    }
    return true;
}

/* ---- the document ---- */

static const struct member job_members[] = {
    { "image", read_text, offsetof(struct job_yaml, image) },       { "args", read_args, 0 },
    { "env", read_env, offsetof(struct job_yaml, env) },            { "cpus", read_number, offsetof(struct job_yaml, cpus) },
    { "memory", read_number, offsetof(struct job_yaml, memory_mib) }, { "scratch", read_number, offsetof(struct job_yaml, scratch_mib) },
    { "broker", read_text, offsetof(struct job_yaml, broker) },     { "broker_ca", read_text, offsetof(struct job_yaml, broker_ca) },
    { "nonce", read_text, offsetof(struct job_yaml, nonce) },       { "receipt", read_text, offsetof(struct job_yaml, receipt) },
    { "volumes", read_volumes, offsetof(struct job_yaml, volumes) },
};

void job_yaml_free(struct job_yaml *job)
{
    json_object_put(job->kept);
    job->kept = NULL;
}

static FALLIBLE read_document(yaml_parser_t *parser, struct job_yaml *job, struct err *err)
{
    yaml_document_t document;
    struct reading  r = { .document = &document, .job = job };

    if (!yaml_parser_load(parser, &document))
        return fail_with(err, ERR_MALFORMED, "line %zu, column %zu: %.120s", parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                         parser->problem ? parser->problem : "cannot be read");
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    bool               ok   = root ? read_mapping(&r, root, job_members, sizeof job_members / sizeof *job_members, job, err)
                                   : fail_with(err, ERR_MALFORMED, "there is nothing in it");
    yaml_document_delete(&document);
    return ok && (job->image || fail_with(err, ERR_MALFORMED, "image: missing"));
}

/* A second document would be another job. */
static FALLIBLE expect_end(yaml_parser_t *parser, struct err *err)
{
    yaml_document_t document;
    bool            has_more;

    if (!yaml_parser_load(parser, &document))
        return fail_with(err, ERR_MALFORMED, "line %zu, column %zu: behind the job: %.120s", parser->problem_mark.line + 1,
                         parser->problem_mark.column + 1, parser->problem ? parser->problem : "cannot be read");
    has_more = yaml_document_get_root_node(&document) != NULL;
    yaml_document_delete(&document);
    return !has_more || fail_with(err, ERR_MALFORMED, "more than one document; a file is one job");
}

FALLIBLE job_yaml_read(struct bytes text, struct job_yaml *out, struct err *err)
{
    AUTO(job_yaml) struct job_yaml job = { .kept = json_object_new_array() };
    yaml_parser_t                  parser;

    if (text.len > JOB_YAML_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "a job of %zu bytes; at most %d are read", text.len, JOB_YAML_LEN_MAX);
    if (!yaml_parser_initialize(&parser))
        return fail_with(err, ERR_LIMIT, "memory");
    yaml_parser_set_input_string(&parser, text.at, text.len);
    bool ok = read_document(&parser, &job, err) && expect_end(&parser, err);
    yaml_parser_delete(&parser);
    if (!ok)
        return false;
    *out = job;
    job  = (struct job_yaml){ 0 };
    return true;
}

FALLIBLE job_yaml_of_arguments(int *argc, char ***argv, struct job_yaml *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                     **words = *argv;

    if (*argc < 2 || (strcmp(words[1], "-f") != 0 && strcmp(words[1], "--file") != 0))
        return true;
    if (*argc < 3)
        return fail_with(err, ERR_CONFIG, "-f JOB.yaml is wanted");
    if (!file_read(words[2], JOB_YAML_LEN_MAX + 1, &text, err) || !job_yaml_read(buffer_bytes(&text), out, err))
        return contextf(err, "%.120s", words[2]);
    words[2] = words[0];
    *argv += 2;
    *argc -= 2;
    return true;
}
