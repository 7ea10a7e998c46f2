#include "keys/ocicrypt/image_config.h"

#include <string.h>

/* An absent or null member is the empty list, as Go writes it. */
static FALLIBLE list_read(struct json_object *from, const char *name, struct text_list *out, struct err *err)
{
    struct json_object *list = NULL;
    size_t              n;

    if (!from || !json_has(from, name))
        n = 0;
    else if (!json_get(from, name, json_type_array, &list, err))
        return false;
    else
        n = json_object_array_length(list);
    if (n > OCI_CONFIG_LIST_MAX)
        return fail_with(err, ERR_LIMIT, "\"%s\": %zu members; at most %d are allowed", name, n, OCI_CONFIG_LIST_MAX);
    out->at = calloc(n + 1, sizeof *out->at);
    if (!out->at)
        abort();
    for (; out->n < n; out->n++) {
        struct json_object *text = json_object_array_get_idx(list, out->n);

        if (!json_object_is_type(text, json_type_string))
            return fail_with(err, ERR_MALFORMED, "\"%s\": member %zu is not a text", name, out->n + 1);
        out->at[out->n] = json_object_get_string(text);
    }
    return true;
}

static FALLIBLE text_read(struct json_object *from, const char *name, const char **out, struct err *err)
{
    *out = "";
    return !from || !json_has(from, name) || json_get_text(from, name, out, err);
}

static FALLIBLE env_check(const struct text_list *env, struct err *err)
{
    for (size_t i = 0; i < env->n; i++)
        if (env->at[i][0] == '=' || !strchr(env->at[i], '='))
            return fail_with(err, ERR_MALFORMED, "\"Env\": member %zu is not NAME=value", i + 1);
    return true;
}

static FALLIBLE diff_ids_read(struct image_config *config, struct err *err)
{
    struct json_object *rootfs = NULL, *ids = NULL;
    const char         *type   = NULL;
    size_t              n;

    if (!json_get(config->document, "rootfs", json_type_object, &rootfs, err) ||
        !json_get_text(rootfs, "type", &type, err) || !json_get(rootfs, "diff_ids", json_type_array, &ids, err))
        return false;
    if (strcmp(type, "layers") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "rootfs: a type that is not \"layers\"");
    n = json_object_array_length(ids);
    if (n > OCI_LAYERS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu diff_ids; at most %d are allowed", n, OCI_LAYERS_MAX);
    config->diff_ids = calloc(n + 1, sizeof *config->diff_ids);
    if (!config->diff_ids)
        abort();
    for (; config->n_diff_ids < n; config->n_diff_ids++) {
        const char *id = json_object_get_string(json_object_array_get_idx(ids, config->n_diff_ids));

        if (!digest_read(bytes_of_text(id), &config->diff_ids[config->n_diff_ids], err))
            return contextf(err, "diff_id %zu", config->n_diff_ids + 1);
    }
    return true;
}

static FALLIBLE config_fill(struct image_config *c, struct err *err)
{
    struct json_object *run = NULL;

    if (json_has(c->document, "config") && !json_get(c->document, "config", json_type_object, &run, err))
        return false;
    if (!json_get_text(c->document, "os", &c->os, err) ||
        !json_get_text(c->document, "architecture", &c->architecture, err) ||
        !text_read(run, "User", &c->user, err) || !text_read(run, "WorkingDir", &c->working_dir, err) ||
        !text_read(run, "StopSignal", &c->stop_signal, err) || !list_read(run, "Env", &c->env, err) ||
        !list_read(run, "Entrypoint", &c->entrypoint, err) || !list_read(run, "Cmd", &c->cmd, err) ||
        !env_check(&c->env, err))
        return false;
    if (c->working_dir[0] != '\0' && c->working_dir[0] != '/')
        return fail_with(err, ERR_MALFORMED, "\"WorkingDir\" is not absolute");
    return diff_ids_read(c, err);
}

FALLIBLE image_config_read(struct bytes text, struct image_config *out, struct err *err)
{
    AUTO(image_config) struct image_config c = { 0 };

    if (!json_read(text, OCI_DOCUMENT_MAX, &c.document, err) || !config_fill(&c, err))
        return context(err, "image config");
    *out = TAKE(c);
    return true;
}

void image_config_free(struct image_config *config)
{
    free(config->env.at);
    free(config->entrypoint.at);
    free(config->cmd.at);
    free(config->diff_ids);
    json_object_put(config->document);
    *config = (struct image_config){ 0 };
}
