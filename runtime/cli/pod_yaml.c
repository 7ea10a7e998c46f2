#include "runtime/cli/pod_yaml.h"

#include <string.h>
#include <yaml.h>

struct reading {
    yaml_document_t          *document;
    const struct option_list *images;
    struct json_object       *out;
};

static const char *text_of(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *) n->data.scalar.value : NULL;
}

static yaml_node_t *member(const struct reading *r, const yaml_node_t *map, const char *key)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *text = text_of(yaml_document_get_node(r->document, p->key));

        if (text && strcmp(text, key) == 0)
            return yaml_document_get_node(r->document, p->value);
    }
    return NULL;
}

static size_t count_of(const yaml_node_t *list)
{
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return 0;
    return (size_t) (list->data.sequence.items.top - list->data.sequence.items.start);
}

static yaml_node_t *item(const struct reading *r, const yaml_node_t *list, size_t i)
{
    return yaml_document_get_node(r->document, list->data.sequence.items.start[i]);
}

static void add(struct json_object *array, const char *text)
{
    if (json_object_array_add(array, json_object_new_string(text)) != 0)
        abort();
}

static bool is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text) == 71 && strspn(text + 7, "0123456789abcdef") == 64;
}

static FALLIBLE digest_of(const struct reading *r, const char *image, const char **out, struct err *err)
{
    const char *at = strrchr(image, '@');

    for (size_t i = 0; !at && i < r->images->n; i++) {
        const char *equals = strchr(r->images->at[i], '=');

        if (equals && (size_t) (equals - r->images->at[i]) == strlen(image) && strncmp(r->images->at[i], image, strlen(image)) == 0)
            at = equals;
    }
    if (!at)
        return fail_with(err, ERR_UNSUPPORTED,
                         "image %.120s has no digest: write it as NAME@sha256:..., or give --image %.60s=sha256:...", image, image);
    if (!is_digest(at + 1))
        return fail_with(err, ERR_MALFORMED, "image %.120s: %.80s is no sha256 digest", image, at + 1);
    *out = at + 1;
    return true;
}

static FALLIBLE add_texts(const struct reading *r, const yaml_node_t *list, struct json_object *to, const char *what, struct err *err)
{
    for (size_t i = 0; i < count_of(list); i++) {
        const char *text = text_of(item(r, list, i));

        if (!text)
            return fail_with(err, ERR_MALFORMED, "%s: an entry is no text", what);
        if (strstr(text, "$("))
            return fail_with(err, ERR_UNSUPPORTED, "%s: $(...) in %.80s: write the value", what, text);
        add(to, text);
    }
    return true;
}

static FALLIBLE add_arguments(const struct reading *r, const yaml_node_t *container, struct json_object *to, struct err *err)
{
    const yaml_node_t *command = member(r, container, "command"), *args = member(r, container, "args");

    if (!command && !args) {
        json_add(to, "args", NULL); /* the image's own */
        return true;
    }
    if (!command)
        return fail_with(err, ERR_UNSUPPORTED, "args without command: give command too, the image's entry point is not read here");
    struct json_object *all = json_object_new_array();
    json_add(to, "args", all);
    return add_texts(r, command, all, "command", err) && add_texts(r, args, all, "args", err);
}

static FALLIBLE add_environment(const struct reading *r, const yaml_node_t *container, struct json_object *to, struct err *err)
{
    const yaml_node_t  *env = member(r, container, "env");
    struct json_object *all = json_object_new_array();

    json_add(to, "env", all);
    if (count_of(member(r, container, "envFrom")) > 0)
        return fail_with(err, ERR_UNSUPPORTED, "envFrom: values from elsewhere cannot be pinned");
    for (size_t i = 0; i < count_of(env); i++) {
        AUTO(buffer) struct buffer entry = { 0 };
        const char                *name  = text_of(member(r, item(r, env, i), "name"));
        const yaml_node_t         *value = member(r, item(r, env, i), "value");

        if (!name)
            return fail_with(err, ERR_MALFORMED, "env: an entry has no name");
        if (member(r, item(r, env, i), "valueFrom"))
            return fail_with(err, ERR_UNSUPPORTED, "env %.80s: a value from elsewhere cannot be pinned", name);
        if (text_of(value) && strstr(text_of(value), "$("))
            return fail_with(err, ERR_UNSUPPORTED, "env %.80s: $(...): write the value", name);
        buffer_append_text(&entry, name);
        buffer_append_text(&entry, "=");
        buffer_append_text(&entry, text_of(value) ? text_of(value) : "");
        add(all, buffer_text(&entry));
    }
    return true;
}

static FALLIBLE check_privileges(const struct reading *r, const yaml_node_t *container, struct err *err)
{
    const yaml_node_t *security = member(r, container, "securityContext");
    const char        *text     = text_of(member(r, security, "privileged"));

    if (text && strcmp(text, "false") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "privileged: a guest runs no privileged containers");
    if (count_of(member(r, member(r, security, "capabilities"), "add")) > 0)
        return fail_with(err, ERR_UNSUPPORTED, "capabilities: none can be added");
    return true;
}

static FALLIBLE add_container(const struct reading *r, const yaml_node_t *container, struct err *err)
{
    struct json_object *to     = json_object_new_object();
    const char         *name   = text_of(member(r, container, "name"));
    const char         *image  = text_of(member(r, container, "image"));
    const char         *digest = NULL;

    if (json_object_array_add(r->out, to) != 0)
        abort();
    if (!name || !image)
        return fail_with(err, ERR_MALFORMED, "a container needs a name and an image");
    if (json_object_array_length(r->out) > POD_YAML_CONTAINERS_MAX)
        return fail_with(err, ERR_LIMIT, "more than %d containers", POD_YAML_CONTAINERS_MAX);
    json_add_text(to, "name", name);
    if (!digest_of(r, image, &digest, err))
        return contextf(err, "container %.60s", name);
    json_add_text(to, "image", digest);
    if (!check_privileges(r, container, err) || !add_arguments(r, container, to, err) || !add_environment(r, container, to, err))
        return contextf(err, "container %.60s", name);
    json_add(to, "output", json_object_new_boolean(true));
    return true;
}

/* Where each kind keeps its pod: a path from the document. */
static const yaml_node_t *pod_spec(const struct reading *r, const yaml_node_t *document)
{
    const char        *kind = text_of(member(r, document, "kind"));
    const yaml_node_t *spec = member(r, document, "spec");

    if (!kind)
        return NULL;
    if (strcmp(kind, "Pod") == 0)
        return spec;
    if (strcmp(kind, "CronJob") == 0)
        spec = member(r, member(r, spec, "jobTemplate"), "spec");
    else if (strcmp(kind, "Deployment") != 0 && strcmp(kind, "ReplicaSet") != 0 && strcmp(kind, "StatefulSet") != 0 &&
             strcmp(kind, "DaemonSet") != 0 && strcmp(kind, "Job") != 0)
        return NULL;
    return member(r, member(r, spec, "template"), "spec");
}

static FALLIBLE read_document(const struct reading *r, struct err *err)
{
    static const char *const lists[] = { "initContainers", "containers" };
    const yaml_node_t       *spec    = pod_spec(r, yaml_document_get_root_node(r->document));

    for (size_t l = 0; spec && l < sizeof lists / sizeof lists[0]; l++) {
        const yaml_node_t *list = member(r, spec, lists[l]);

        for (size_t i = 0; i < count_of(list); i++)
            if (!add_container(r, item(r, list, i), err))
                return false;
    }
    return true;
}

static FALLIBLE read_documents(yaml_parser_t *parser, struct reading *r, struct err *err)
{
    for (int n = 0; n < POD_YAML_DOCUMENTS_MAX; n++) {
        yaml_document_t document;

        if (!yaml_parser_load(parser, &document))
            return fail_with(err, ERR_MALFORMED, "YAML line %zu: %s", parser->problem_mark.line + 1,
                             parser->problem ? parser->problem : "cannot be read");
        r->document = &document;
        bool last   = !yaml_document_get_root_node(&document);
        bool ok     = last || read_document(r, err);
        yaml_document_delete(&document);
        if (last || !ok)
            return ok;
    }
    return fail_with(err, ERR_LIMIT, "more than %d documents", POD_YAML_DOCUMENTS_MAX);
}

FALLIBLE pod_yaml_read(struct bytes text, const struct option_list *images, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *containers = json_object_new_array();
    struct reading                 r          = { .images = images, .out = containers };
    yaml_parser_t                  parser;

    if (text.len > POD_YAML_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "manifest of %zu bytes", text.len);
    if (!yaml_parser_initialize(&parser))
        return fail_with(err, ERR_LIMIT, "memory");
    yaml_parser_set_input_string(&parser, text.at, text.len);
    bool ok = read_documents(&parser, &r, err);
    yaml_parser_delete(&parser);
    if (!ok)
        return false;
    if (json_object_array_length(containers) == 0)
        return fail_with(err, ERR_MALFORMED, "no Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job or CronJob in it");
    *out = TAKE(containers);
    return true;
}
