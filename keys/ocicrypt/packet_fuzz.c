#include <string.h>

#include "keys/ocicrypt/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(packet) struct packet packet = { 0 }, again = { 0 };
    AUTO(buffer) struct buffer json   = { 0 };
    char                       kid[ENC_KID_MAX + 1];
    char                       twice[ENC_KID_MAX + 1];
    struct err                 err;

    if (kid_read((struct bytes){ data, size }, kid, &err) &&
        (!kid_read(bytes_of_text(kid), twice, &err) || strcmp(kid, twice) != 0))
        __builtin_trap(); /* the one form reads as itself */
    if (!packet_read((struct bytes){ data, size }, &packet, &err))
        return 0;
    packet_write(&packet, &json);
    if (!packet_read(buffer_bytes(&json), &again, &err) || strcmp(packet.kid, again.kid) != 0 ||
        !bytes_equal(buffer_bytes(&packet.wrapped), buffer_bytes(&again.wrapped)))
        __builtin_trap();
    return 0;
}
