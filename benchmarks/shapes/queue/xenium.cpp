// xenium.cpp of queue: xenium's queues of single items. ramalhete_queue, with the ways of
// reclamation that it comes with; its items are pointers, so an item is shifted past the bits that
// it marks. michael_scott_queue; vyukov_bounded_queue. (kirsch_kfifo_queue keeps no order.)
#include "config.h"

#include <array> // xenium's headers use it and don't include it

#include <xenium/michael_scott_queue.hpp>
#include <xenium/ramalhete_queue.hpp>
#include <xenium/reclamation/generic_epoch_based.hpp>
#include <xenium/reclamation/hazard_pointer.hpp>
#include <xenium/reclamation/quiescent_state_based.hpp>
#include <xenium/vyukov_bounded_queue.hpp>

namespace
{

template <class Reclaimer, unsigned Entries>
struct Ramalhete {
    xenium::ramalhete_queue<std::uint64_t *, xenium::policy::reclaimer<Reclaimer>,
                            xenium::policy::entries_per_node<Entries>>
        queue;

    bool try_put(std::uint64_t item)
    {
        queue.push(reinterpret_cast<std::uint64_t *>(item << 4));
        return true;
    }
    bool try_take(std::uint64_t &item)
    {
        std::uint64_t *pointer = nullptr;
        if (!queue.try_pop(pointer)) return false;
        item = reinterpret_cast<std::uint64_t>(pointer) >> 4;
        return true;
    }
};

template <class Reclaimer>
struct MichaelScott {
    xenium::michael_scott_queue<std::uint64_t, xenium::policy::reclaimer<Reclaimer>> queue;

    bool try_put(std::uint64_t item)
    {
        queue.push(item);
        return true;
    }
    bool try_take(std::uint64_t &item) { return queue.try_pop(item); }
};

struct Vyukov {
    xenium::vyukov_bounded_queue<std::uint64_t> queue{config::room};

    bool try_put(std::uint64_t item) { return queue.try_push(item); }
    bool try_take(std::uint64_t &item) { return queue.try_pop(item); }
};

template <class Reclaimer>
void add_with(unsigned cpus, const char *name)
{
    std::string reclaimer = name;
    config::add_singly<Ramalhete<Reclaimer, 512>>(cpus, "ramalhete/" + reclaimer + "/entries:512");
    config::add_singly<MichaelScott<Reclaimer>>(cpus, "michael_scott/" + reclaimer);
}

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    using namespace xenium::reclamation;
    namespace policy = xenium::policy;
    using epochs =
        generic_epoch_based<>::with<policy::scan_frequency<100>, policy::scan<scan::all_threads>,
                                    policy::region_extension<region_extension::none>>;
    using hazards =
        hazard_pointer<>::with<policy::allocation_strategy<hp_allocation::static_strategy<3>>>;
    add_with<epochs>(cpus, "epoch_based");
    add_with<debra<>>(cpus, "debra");
    add_with<new_epoch_based<>>(cpus, "new_epoch_based");
    add_with<quiescent_state_based>(cpus, "quiescent_state_based");
    add_with<hazards>(cpus, "hazard_pointer");
    config::add_singly<Ramalhete<epochs, 2048>>(cpus, "ramalhete/epoch_based/entries:2048");
    config::add_singly<Vyukov>(cpus, "vyukov");
}
