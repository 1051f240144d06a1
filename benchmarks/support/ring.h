// ring.h: a bounded queue behind a mutex and two condition variables, for the implementations that
// hand things over so.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace ring
{

template <class Item>
class Ring
{
  public:
    explicit Ring(std::size_t room) : items_(room) {}

    // Waits until all are in.
    void put(const Item *items, std::size_t count)
    {
        while (count > 0) {
            std::size_t put;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                not_full_.wait(lock, [this] { return used_ < items_.size(); });
                put = std::min(count, items_.size() - used_);
                for (std::size_t i = 0; i < put; i++)
                    items_[(first_ + used_ + i) % items_.size()] = items[i];
                used_ += put;
            }
            tell(not_empty_, put);
            items += put;
            count -= put;
        }
    }

    // Waits until there is one; up to `count`. 0: closed, and nothing is left.
    std::size_t take(Item *items, std::size_t count)
    {
        std::size_t taken;
        {
            std::unique_lock<std::mutex> lock(mutex_);
            not_empty_.wait(lock, [this] { return used_ > 0 || closed_; });
            taken = std::min(count, used_);
            for (std::size_t i = 0; i < taken; i++) items[i] = items_[(first_ + i) % items_.size()];
            first_ = (first_ + taken) % items_.size();
            used_ -= taken;
        }
        tell(not_full_, taken);
        return taken;
    }

    void close()
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        not_empty_.notify_all();
    }

  private:
    static void tell(std::condition_variable &who, std::size_t count)
    {
        if (count == 1)
            who.notify_one();
        else
            who.notify_all();
    }

    std::mutex              mutex_;
    std::condition_variable not_empty_;
    std::condition_variable not_full_;
    std::vector<Item>       items_;
    std::size_t             first_ = 0;
    std::size_t             used_ = 0;
    bool                    closed_ = false;
};

} // namespace ring
