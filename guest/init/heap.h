/* How much freed memory a process of the agent keeps for itself. A guest is small, and most of them wait most of the time. */
#pragma once

void heap_keep_little(void); /* it waits, and moves little: what is freed goes back at once. Inherited by what it forks */
void heap_give_back(void);   /* once, after work that took more than usual: also what lies between what is still used */
void heap_keep_room(void);   /* it moves images: not for every piece anew */
