/*
 * Everything that a peer can reach by a request: one input is METHOD, path, cookie, Authorization and body, with a line
 * end between. The word ADMIN as Authorization stands for a token that the administrator signed.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "keys/api/development_root.h"
#include "keys/broker/routes.h"
#include "keys/jose/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1000000, FIELD_MAX = 4096 };
static const char PAYLOAD[] = "{\"role\":\"admin\",\"iat\":1000000,\"exp\":1000060,\"reply-key\":{\"kty\":\"EC\",\"crv\":\"P-256\","
                              "\"alg\":\"ECDH-ES+A256KW\",\"x\":\"8h6F31bmVU7Y-uPlR1Mtlvc7hyDOrxWcsYOBPOthjj0\","
                              "\"y\":\"J2_-0LskBE0njZGnOJU4JnZRWu-BXLwoKp0WJyffLzw\"}}";

static struct broker broker;
static struct buffer admin_token;
static EVP_PKEY     *admin_key;

static void must(bool fine)
{
    if (!fine)
        __builtin_trap();
}

static void broker_open(void)
{
    struct appraiser_options  roots = { .amd = true };
    AUTO(secret) struct secret key  = { 0 };
    struct err                err;

    must(secret_heap_open(&err) && secret_random(32, &key, &err));
    must(store_open(":memory:", &key, &broker.store, &err) && challenge_key(&key, &broker.challenge_key, &err));
    must(appraiser_new(&roots, &broker.appraiser, &err) && policy_engine_new(&broker.engine, &err));
    broker.issuer    = (struct ear_issuer){ .key = EVP_EC_gen("P-256"), .certificate = bytes_of_text("cert"), .name = "n" };
    admin_key        = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    must(administrators_one(admin_key, &broker.administrators, &err));
    broker.session_s = 300;
    buffer_append_text(&admin_token, "Bearer ");
    must(jwt_sign("", bytes_of_text(PAYLOAD), admin_key, &admin_token, &err));
}

/* The next line, as text; empty ones are absent. */
static const char *field(struct bytes *left, char room[static FIELD_MAX])
{
    const uint8_t *end = left->len ? memchr(left->at, '\n', left->len) : NULL;
    size_t         len = end ? (size_t) (end - left->at) : left->len;

    if (len >= FIELD_MAX)
        len = FIELD_MAX - 1;
    if (len > 0)
        memcpy(room, left->at, len);
    room[len] = 0;
    *left     = end ? (struct bytes){ end + 1, (size_t) (left->at + left->len - end - 1) } : (struct bytes){ 0 };
    return room[0] ? room : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                       rooms[4][FIELD_MAX];
    struct bytes               left    = { data, size };
    struct request             request = { .now = NOW, .faces = FACE_GUESTS | FACE_ADMINISTRATORS };
    AUTO(answer) struct answer answer  = { 0 };
    struct err                 err;

    if (!broker.store)
        broker_open();
    request.method        = field(&left, rooms[0]);
    request.path          = field(&left, rooms[1]);
    request.session       = field(&left, rooms[2]);
    request.authorization = field(&left, rooms[3]);
    request.body          = left;
    if (!request.method || !request.path)
        return 0;
    if (request.authorization && strcmp(request.authorization, "ADMIN") == 0)
        request.authorization = buffer_text(&admin_token);
    broker_answer(&broker, &request, &answer);
    if (answer.pending)
        broker_write(&broker, &answer);
    must(answer.status >= 200 && answer.status < 600);
    must(answer.status == 200 || (answer.body.len > 0 && answer.reason[0] && !answer.session[0]));
    if (!request.authorization) /* and no session ever attested: nothing is released, nothing is written */
        must((strncmp(request.path, "/kbs/v0/resource", 16) != 0 || answer.status != 200) && !store_is_dirty(broker.store));
    must(store_commit(broker.store, &err));
    return 0;
}
