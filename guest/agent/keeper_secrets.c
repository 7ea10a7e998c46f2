#include <string.h>
#include <time.h>

#include "guest/agent/keeper_inside.h"
#include "keys/jose/jwk.h"

static void done_given(struct work *work)
{
    struct errand        *errand  = (struct errand *) work;
    Keeper__GivenResponse answer  = KEEPER__GIVEN_RESPONSE__INIT;
    struct bytes          content = secret_expose(&errand->secret);

    answer.content = (ProtobufCBinaryData){ content.len, (uint8_t *) (uintptr_t) content.at }; /* written to the wire only */
    keeper_end(errand, &answer.base);
}

static void run_resource(struct work *work, void *own)
{
    struct errand *errand = (struct errand *) work;

    errand->is_done = kbs_resource_get(own, ((const Keeper__GetResourceRequest *) errand->request)->uri, &errand->secret, &errand->why);
}

void keeper_serve_resource(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper *k = owner;

    keeper_send(k, k->questions, pending, message, run_resource, done_given);
}

/* A session of its own, which its clients lock. */
static void run_token(struct work *work, void *own)
{
    struct errand      *errand   = (struct errand *) work;
    struct kbs_attester attester = keeper_attester(errand->keeper);

    (void) own;
    errand->is_done = kbs_token_get(errand->keeper->for_workloads, &attester, (int64_t) time(NULL), &errand->secret, &errand->why);
}

void keeper_serve_token(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper *k = owner;

    keeper_send(k, k->questions, pending, message, run_token, done_given);
}

static void lock(pthread_mutex_t *of)
{
    if (pthread_mutex_lock(of) != 0)
        abort();
}

static void unlock(pthread_mutex_t *of)
{
    if (pthread_mutex_unlock(of) != 0)
        abort();
}

/* `out` is yours. */
static bool known_signer(struct keeper *k, const char *kid, EVP_PKEY **out)
{
    lock(&k->signer_lock);
    bool is_known = k->signer_key && strcmp(k->signer, kid) == 0 && EVP_PKEY_up_ref(k->signer_key) == 1;
    if (is_known)
        *out = k->signer_key;
    unlock(&k->signer_lock);
    return is_known;
}

static void keep_signer(struct keeper *k, const char *kid, EVP_PKEY *key)
{
    if (EVP_PKEY_up_ref(key) != 1)
        return;
    lock(&k->signer_lock);
    EVP_PKEY_free(k->signer_key);
    k->signer_key = key;
    (void) snprintf(k->signer, sizeof k->signer, "%s", kid); /* it fits: the secret named it */
    unlock(&k->signer_lock);
}

/* The broker keeps it as a JWK; several secrets of one signer cost one question. */
static FALLIBLE find_signer(struct keeper *k, struct kbs_client *client, const char *kid, EVP_PKEY **out, struct err *err)
{
    AUTO(secret) struct secret     text = { 0 };
    AUTO(json) struct json_object *json = NULL;
    AUTO(jwk) struct jwk           jwk  = { 0 };

    if (known_signer(k, kid, out))
        return true;
    if (!kbs_resource_get(client, kid, &text, err) || !json_read(secret_expose(&text), JWK_TEXT_MAX, &json, err) ||
        !jwk_read(json, &jwk, err))
        return context(err, "the signer's key");
    if (jwk.kind != JWK_P256)
        return fail_with(err, ERR_UNSUPPORTED, "the signer's key: sealed secrets are signed with P-256");
    keep_signer(k, kid, jwk.key);
    *out = TAKE(jwk.key);
    return true;
}

static FALLIBLE unseal(struct errand *errand, struct kbs_client *client, struct err *err)
{
    const Keeper__UnsealRequest *asked = (const Keeper__UnsealRequest *) errand->request;
    struct bytes               text = { asked->sealed.data, asked->sealed.len };
    AUTO(secret) struct secret got  = { 0 };
    char                       named[SEALED_URI_MAX + 1];
    AUTO(pkey) EVP_PKEY       *key = NULL;

    if (!sealed_secret_signer(text, named, err))
        return false;
    if (strcmp(named, asked->signer) != 0)
        return fail_with(err, ERR_DENIED, "sealed secret: of another signer");
    if ((named[0] && !find_signer(errand->keeper, client, named, &key, err)) || !sealed_secret_read(text, key, &errand->sealed, err) ||
        !kbs_resource_get(client, errand->sealed.resource, &got, err))
        return false;
    if (errand->sealed.type == SEALED_ENVELOPE)
        return sealed_secret_open(&errand->sealed, &got, &errand->secret, err);
    errand->secret = TAKE(got);
    return true;
}

static void run_unseal(struct work *work, void *own)
{
    struct errand *errand = (struct errand *) work;

    errand->is_done = unseal(errand, own, &errand->why);
}

static void done_unseal(struct work *work)
{
    struct errand         *errand  = (struct errand *) work;
    Keeper__UnsealResponse answer  = KEEPER__UNSEAL_RESPONSE__INIT;
    struct bytes           content = secret_expose(&errand->secret);

    answer.content  = (ProtobufCBinaryData){ content.len, (uint8_t *) (uintptr_t) content.at }; /* written to the wire only */
    answer.resource = errand->sealed.resource;
    keeper_end(errand, &answer.base);
}

void keeper_serve_unseal(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper *k = owner;

    keeper_send(k, k->questions, pending, message, run_unseal, done_unseal);
}
