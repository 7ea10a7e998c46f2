#include "runtime/shim/image_find.h"

#include <stdio.h>
#include <string.h>

#include "runtime/oci/layout.h"
#include "runtime/shim/engine.pb-c.h"
#include "runtime/shim/grpc_call.h"
#include "runtime/shim/limits.h"

static FALLIBLE ask(const char *address, const char *namespace, const char *method, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *type, ProtobufCMessage **out, struct err *err)
{
    struct grpc_call call = { address, method, namespace, SHIM_ENGINE_WAIT_MS };

    return grpc_call(&call, request, type, out, err);
}

/* Plugins say where they keep things: the content store's folder is one of the content plugin's exports. */
static FALLIBLE find_store(const char *address, char out[static IMAGE_NOTE_PATH], struct err *err)
{
    Engine__PluginsRequest          request  = ENGINE__PLUGINS_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *answer   = NULL;
    char                            filter[] = "type==io.containerd.content.v1", *filters[] = { filter };

    request.filters   = filters;
    request.n_filters = 1;
    if (!ask(address, NULL, "/containerd.services.introspection.v1.Introspection/Plugins", &request.base,
             &engine__plugins_response__descriptor, &answer, err))
        return false;
    const Engine__PluginsResponse *plugins = (const Engine__PluginsResponse *) answer;
    for (size_t i = 0; i < plugins->n_plugins; i++)
        for (size_t j = 0; j < plugins->plugins[i]->n_exports; j++) {
            const Engine__Entry *entry = plugins->plugins[i]->exports[j];

            if (strcmp(entry->key, "root") == 0 && entry->value[0] == '/' && strlen(entry->value) < IMAGE_NOTE_PATH) {
                memcpy(out, entry->value, strlen(entry->value) + 1);
                return true;
            }
        }
    return fail_with(err, ERR_NOT_FOUND, "containerd does not say where its content store is");
}

static FALLIBLE find_target(const char *address, const char *namespace, const char *container, char **digest,
                            struct err *err)
{
    Engine__IdRequest               by_id   = ENGINE__ID_REQUEST__INIT;
    Engine__NameRequest             by_name = ENGINE__NAME_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *first = NULL, *second = NULL;

    by_id.id = (char *) (uintptr_t) container; /* written to the wire only */
    if (!ask(address, namespace, "/containerd.services.containers.v1.Containers/Get", &by_id.base,
             &engine__container_response__descriptor, &first, err))
        return false;
    const Engine__ContainerResponse *found = (const Engine__ContainerResponse *) first;
    if (!found->container || !*found->container->image)
        return fail_with(err, ERR_NOT_FOUND, "containerd knows no image of this container");
    by_name.name = found->container->image;
    if (!ask(address, namespace, "/containerd.services.images.v1.Images/Get", &by_name.base,
             &engine__image_response__descriptor, &second, err))
        return false;
    const Engine__ImageResponse *image = (const Engine__ImageResponse *) second;
    if (!image->image || !image->image->target)
        return fail_with(err, ERR_NOT_FOUND, "containerd's image has no target");
    *digest = strdup(image->image->target->digest);
    return *digest || fail_with(err, ERR_LIMIT, "out of memory");
}

static FALLIBLE find_all(const char *address, const char *namespace, const char *container, struct image_note *n,
                         struct err *err)
{
    AUTO(text) char *target = NULL;

    if (!*address)
        return fail_with(err, ERR_NOT_FOUND, "there is no containerd to ask");
    return find_store(address, n->blobs, err) && find_target(address, namespace, container, &target, err) &&
           layout_resolve(n->blobs, target, n->digest, err);
}

void image_find(const char *address, const char *namespace, const char *container, struct image_note *out)
{
    struct err err;

    *out = (struct image_note){ 0 };
    if (!find_all(address, namespace, container, out, &err))
        (void) snprintf(out->why, sizeof out->why, "%.*s", IMAGE_NOTE_WHY - 1, err.text); /* cut on purpose */
}
