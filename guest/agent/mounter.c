#include "guest/agent/mounter.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/ossl.h"
#include "guest/init/calls.h"

enum { KEY_LEN = 64, /* AES-256-XTS takes two of 32 */
       TIMEOUT_S = 120 };

struct order {
    struct image_disk disk;
    bool              has_key;
    uint8_t           key[KEY_LEN];
};

static FALLIBLE obey(struct image_disks *disks, struct order *order, struct err *err)
{
    AUTO(secret) struct secret key = { 0 };

    order->disk.hex[IMAGE_DISK_HEX] = 0;
    if (order->has_key && !secret_copy(BYTES_OF(order->key), &key, err))
        return false;
    OPENSSL_cleanse(order->key, sizeof order->key);
    return image_disk_mount(disks, &order->disk, &key, err);
}

int mounter_run(int control_fd)
{
    AUTO(fd) int       fd    = control_fd;
    struct image_disks disks = { 0 };
    struct order       order;
    struct err         answer;

    if (!secret_heap_open(&answer) || !calls_confine_disks(&answer))
        return 1;
    image_disks_prepare(&disks); /* the keeper has an attestation before it */
    while (recv(fd, &order, sizeof order, 0) == (ssize_t) sizeof order) {
        answer = (struct err){ 0 };
        (void) !obey(&disks, &order, &answer); /* the answer says it */
        OPENSSL_cleanse(&order, sizeof order);
        if (send(fd, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t) sizeof answer)
            return 1;
    }
    return 0;
}

FALLIBLE mounter_mount(int control_fd, const struct image_disk *disk, const struct secret *key, struct err *err)
{
    static const struct timeval patience = { .tv_sec = TIMEOUT_S };
    struct order                order    = { .disk = *disk, .has_key = key->len > 0 };
    struct err                  answer;

    if (key->len > 0 && key->len != KEY_LEN)
        return fail_with(err, ERR_BUG, "mounter: a key of %zu bytes", key->len);
    if (key->len > 0) {
        memcpy(order.key, secret_expose(key).at, KEY_LEN);
        sha256_of(secret_expose(key), order.disk.key_sha256); /* of 64 random bytes it tells nothing; made here, where OpenSSL is awake */
    }
    bool is_sent = setsockopt(control_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
                   send(control_fd, &order, sizeof order, MSG_NOSIGNAL) == (ssize_t) sizeof order;
    OPENSSL_cleanse(&order, sizeof order);
    if (!is_sent || recv(control_fd, &answer, sizeof answer, 0) != (ssize_t) sizeof answer) {
        (void) shutdown(control_fd, SHUT_RDWR); /* an answer that comes late would be taken for that to the next order */
        return fail_with(err, ERR_OS, "the mounter of image disks is gone");
    }
    answer.text[sizeof answer.text - 1] = 0;
    if (answer.kind == ERR_NONE)
        return true;
    *err = answer;
    return false;
}
