#include "runtime/cli/pod_yaml.h"

#include <string.h>

#include "runtime/cli/pod_container.h"

void pod_yaml_free(struct pod_yaml *pod)
{
    json_object_put(pod->policy);
    json_object_put(pod->names);
    json_object_put(pod->notes);
    *pod = (struct pod_yaml){ NULL, NULL, NULL };
}

static FALLIBLE check_host_namespaces(const struct pod_reading *r, const yaml_node_t *spec, struct err *err)
{
    static const char *const names[] = { "hostNetwork", "hostPID", "hostIPC" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = yaml_text(yaml_member(r, spec, names[i]));

        if (text && strcmp(text, "false") != 0)
            return fail_with(err, ERR_UNSUPPORTED, "%s: a guest shares nothing with the host", names[i]);
    }
    return true;
}

/* Where each kind keeps its pod: a path from the document. Its metadata stand beside its spec. */
static const yaml_node_t *pod_of(const struct pod_reading *r, const yaml_node_t *document)
{
    const char        *kind = yaml_text(yaml_member(r, document, "kind"));
    const yaml_node_t *spec = yaml_member(r, document, "spec");

    if (!kind)
        return NULL;
    if (strcmp(kind, "Pod") == 0)
        return document;
    if (strcmp(kind, "CronJob") == 0)
        spec = yaml_member(r, yaml_member(r, spec, "jobTemplate"), "spec");
    else if (strcmp(kind, "Deployment") != 0 && strcmp(kind, "ReplicaSet") != 0 && strcmp(kind, "StatefulSet") != 0 &&
             strcmp(kind, "DaemonSet") != 0 && strcmp(kind, "Job") != 0)
        return NULL;
    return yaml_member(r, spec, "template");
}

static FALLIBLE read_document(struct pod_reading *r, struct err *err)
{
    static const char *const lists[] = { "initContainers", "containers" };
    const yaml_node_t       *pod     = pod_of(r, yaml_document_get_root_node(r->document));
    const yaml_node_t       *spec    = yaml_member(r, pod, "spec");

    if (!spec)
        return true;
    if (!check_host_namespaces(r, spec, err))
        return false;
    r->security = yaml_member(r, spec, "securityContext");
    r->volumes  = yaml_member(r, spec, "volumes");
    r->annotations = yaml_member(r, yaml_member(r, pod, "metadata"), "annotations");
    const char *token = yaml_text(yaml_member(r, spec, "automountServiceAccountToken"));
    r->has_token      = !token || strcmp(token, "false") != 0;
    const char *shared   = yaml_text(yaml_member(r, spec, "shareProcessNamespace"));
    r->shares_processes  = shared && strcmp(shared, "true") == 0;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        const yaml_node_t *list = yaml_member(r, spec, lists[l]);

        for (size_t i = 0; i < yaml_count(list); i++)
            if (!pod_container_add(r, yaml_item(r, list, i), err))
                return false;
    }
    return true;
}

static FALLIBLE read_documents(yaml_parser_t *parser, struct pod_reading *r, struct err *err)
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

FALLIBLE pod_yaml_read(struct bytes text, const struct pod_images *images, struct pod_yaml *out, struct err *err)
{
    AUTO(pod_yaml) struct pod_yaml read = { json_object_new_object(), json_object_new_array(), json_object_new_array() };
    struct pod_reading             r    = { .images = images, .out = &read };
    yaml_parser_t                  parser;

    if (text.len > POD_YAML_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "manifest of %zu bytes", text.len);
    json_add(read.policy, "containers", json_object_new_array());
    json_add(read.policy, "network", json_object_new_boolean(true)); /* a pod has one */
    if (!yaml_parser_initialize(&parser))
        return fail_with(err, ERR_LIMIT, "memory");
    yaml_parser_set_input_string(&parser, text.at, text.len);
    bool ok = read_documents(&parser, &r, err);
    yaml_parser_delete(&parser);
    if (!ok)
        return false;
    if (json_object_array_length(read.names) == 0)
        return fail_with(err, ERR_MALFORMED, "no Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job or CronJob in it");
    *out = TAKE(read);
    return true;
}
