// ramalhete.cpp of queue: xenium::ramalhete_queue with the ways of reclamation it comes with. It
// has no batches, and its items are pointers: an item is shifted past the bits that it marks.
#include "config.h"

#include <array> // xenium's headers use it and don't include it

#include <xenium/ramalhete_queue.hpp>
#include <xenium/reclamation/generic_epoch_based.hpp>
#include <xenium/reclamation/hazard_pointer.hpp>
#include <xenium/reclamation/quiescent_state_based.hpp>

#include <memory>

namespace
{

template <class Reclaimer, unsigned Entries>
struct Ramalhete {
    xenium::ramalhete_queue<std::uint64_t *, xenium::policy::reclaimer<Reclaimer>,
                            xenium::policy::entries_per_node<Entries>>
         queue;
    bool spins;

    explicit Ramalhete(bool spins_) : spins(spins_) {}

    struct Producer {
        explicit Producer(Ramalhete &from) : queue(from.queue) {}
        void write(const std::uint64_t *items, std::size_t count)
        {
            for (std::size_t i = 0; i < count; i++)
                queue.push(reinterpret_cast<std::uint64_t *>(items[i] << 4));
        }
        decltype(Ramalhete::queue) &queue;
    };

    struct Consumer {
        explicit Consumer(Ramalhete &from) : queue(from.queue), waiting(from.spins) {}
        std::size_t read(std::uint64_t *items, std::size_t)
        {
            std::uint64_t *item = nullptr;
            while (!queue.try_pop(item)) waiting.failed();
            waiting.succeeded();
            *items = reinterpret_cast<std::uint64_t>(item) >> 4;
            return 1;
        }
        decltype(Ramalhete::queue) &queue;
        config::Waiting             waiting;
    };
};

template <class Reclaimer, unsigned Entries>
void add(unsigned cpus, const char *name)
{
    for (bool spins : {false, true}) {
        config::add(cpus, {1},
                    std::string("ramalhete/") + name + harness::part("entries", Entries) +
                        harness::part("wait", spins ? "spin" : "yield"),
                    [=] { return std::make_unique<Ramalhete<Reclaimer, Entries>>(spins); });
    }
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
    ::add<epochs, 512>(cpus, "epoch_based");
    ::add<epochs, 2048>(cpus, "epoch_based");
    ::add<debra<>, 512>(cpus, "debra");
    ::add<new_epoch_based<>, 512>(cpus, "new_epoch_based");
    ::add<quiescent_state_based, 512>(cpus, "quiescent_state_based");
    ::add<hazards, 512>(cpus, "hazard_pointer");
}
