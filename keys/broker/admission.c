#include "keys/broker/admission.h"

enum { ROOM_FOR_ONE = 8, ROOM_MADE = 7 };

void admission_turn_begins(struct admission *admission, int64_t now_us)
{
    if (now_us >= admission->behind_until_us)
        admission->room = 0; /* from here on it counts: this turn may be the one that takes too long */
}

void admission_turn_judge(struct admission *admission, int64_t began_us, int64_t now_us, int64_t limit_us)
{
    int64_t took = now_us - began_us;

    if (took > limit_us)
        admission->behind_until_us = now_us + took;
}

void admission_attested(struct admission *admission) { admission->room += ROOM_MADE; }

bool admission_lets_in(struct admission *admission, int64_t now_us)
{
    if (now_us >= admission->behind_until_us)
        return true;
    if (admission->room < ROOM_FOR_ONE)
        return false;
    admission->room -= ROOM_FOR_ONE;
    return true;
}
