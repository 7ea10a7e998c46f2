#include "guest/agent/unseal.h"

#include <string.h>

#include "base/text.h"
#include "guest/agent/desk.h"
#include "guest/agent/keeper.h"

static const struct ttrpc_method unseal_method = { &keeper_service, "Unseal" };

static FALLIBLE add(struct unsealing *u, struct unseal_slot slot, struct err *err)
{
    if (u->n == UNSEAL_MAX)
        return fail_with(err, ERR_LIMIT, "over %d sealed secrets in one container", UNSEAL_MAX);
    u->slots[u->n++] = slot;
    return true;
}

/* Behind NAME=; empty where there is no "=". */
static struct bytes value_of(const char *entry)
{
    const char *at = strchr(entry, '=');

    return bytes_of_text(at ? at + 1 : "");
}

FALLIBLE unseal_find_env(struct unsealing *u, const char **env, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (sealed_secret_is(value_of(env[i])) && !add(u, (struct unseal_slot){ .entry = &env[i] }, err))
            return false;
    return true;
}

FALLIBLE unseal_find_files(struct unsealing *u, struct err *err)
{
    for (size_t i = 0; u->volumes && i < u->volumes->n_all; i++)
        if (sealed_secret_is(u->volumes->files[i].content) &&
            !add(u, (struct unseal_slot){ .content = &u->volumes->files[i].content }, err))
            return false;
    return true;
}

static struct bytes sealed_text(const struct unseal_slot *slot)
{
    return slot->entry ? value_of(*slot->entry) : *slot->content;
}

static size_t name_len(const struct unseal_slot *slot)
{
    return strcspn(*slot->entry, "=");
}

/* The last word, with what it is about in front. */
static void finish(struct unsealing *u, const struct err *why)
{
    const struct unseal_slot *slot  = &u->slots[u->at];
    struct err                shown = { 0 };

    if (!why && u->n > 0)
        timeline_add(u->service->timeline, "key", u->begin_ms, timeline_now_ms(), u->container->id);
    if (why) {
        shown = *why;
        if (slot->entry)
            (void) contextf(&shown, "key: variable %.*s", (int) (name_len(slot) < 80 ? name_len(slot) : 80), *slot->entry); /* false, as ever */
        for (size_t i = 0; !slot->entry && i < u->volumes->n_all; i++)
            if (slot->content == &u->volumes->files[i].content)
                (void) contextf(&shown, "key: file %.80s", u->volumes->files[i].path); /* likewise */
    }
    u->is_over = true;
    u->done(u->owner, why ? &shown : NULL);
}

/* "NAME=" and the secret, which is a text then; or the content as it is. */
static FALLIBLE exchange(struct unsealing *u, struct bytes secret, struct err *err)
{
    const struct unseal_slot *slot   = &u->slots[u->at];
    struct buffer            *opened = &u->opened[u->at];
    size_t                    name   = slot->entry ? name_len(slot) + 1 : 0;

    if (slot->entry && (memchr(secret.at, 0, secret.len) || !is_utf8(secret)))
        return fail_with(err, ERR_MALFORMED, "the secret is no UTF-8 text, or has a zero byte in it: no value of a variable");
    if (slot->content && secret.len > VOLUME_FILE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "the secret is over %d bytes", VOLUME_FILE_LEN_MAX);
    *opened = (struct buffer) WIPED_BUFFER;
    if (slot->entry)
        buffer_append(opened, (struct bytes){ (const uint8_t *) *slot->entry, name });
    buffer_append(opened, secret);
    if (slot->entry)
        *slot->entry = buffer_text(opened);
    else
        *slot->content = buffer_bytes(opened);
    return true;
}

static void next(struct unsealing *u);

static void on_unsealed(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct unsealing              *u      = owner;
    const Keeper__UnsealResponse  *answer = (const Keeper__UnsealResponse *) message;
    struct err                     err;
    bool                           ok;

    if (!answer) {
        finish(u, why);
        return;
    }
    struct desk_fact facts[] = { { "signer", u->signer }, { "resource", answer->resource } };
    ok = desk_ask_rules(u->service, u->container, "UnsealSecret", facts, 2, &err) &&
         exchange(u, (struct bytes){ answer->content.data, answer->content.len }, &err);
    if (!ok) {
        finish(u, &err);
        return;
    }
    u->at++;
    next(u);
}

/* An unsigned one is judged by what it names: nobody vouches for that. */
static FALLIBLE allow(struct unsealing *u, struct bytes sealed, struct err *err)
{
    AUTO(sealed_secret) struct sealed_secret read = { 0 };

    if (!sealed_secret_signer(sealed, u->signer, err) || !policy_allow_signer(&u->container->grant, u->signer, err))
        return false;
    return u->signer[0] || (sealed_secret_read(sealed, NULL, &read, err) &&
                            policy_allow_resource(&u->container->grant, read.resource, err));
}

static void next(struct unsealing *u)
{
    Keeper__UnsealRequest request = KEEPER__UNSEAL_REQUEST__INIT;
    struct bytes          sealed;
    struct err            err;

    if (u->at == u->n) {
        finish(u, NULL);
        return;
    }
    sealed         = sealed_text(&u->slots[u->at]);
    request.sealed = (ProtobufCBinaryData){ sealed.len, (uint8_t *) (uintptr_t) sealed.at }; /* written to the wire only */
    request.signer = u->signer;
    if (!allow(u, sealed, &err) || !ttrpc_connection_call(u->service->keeper, &unseal_method, &request.base, on_unsealed, u, &err))
        finish(u, &err);
}

void unseal_begin(struct unsealing *u)
{
    u->begin_ms = timeline_now_ms();
    next(u);
}

void unsealing_free(struct unsealing *u)
{
    for (size_t i = 0; i < u->n; i++)
        buffer_free(&u->opened[i]);
}
