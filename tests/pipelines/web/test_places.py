import asyncio

from pipelines.web.places import Places


def test_holds_no_more_than_there_are() -> None:
    most, held = 0, 0

    async def run() -> None:
        places = Places(3)

        async def hold(for_robots: bool) -> None:
            nonlocal most, held
            async with places.place(for_robots=for_robots):
                held += 1
                most = max(most, held)
                await asyncio.sleep(0)
                held -= 1

        await asyncio.gather(*(hold(number % 2 == 0) for number in range(20)))
        assert not places.is_full

    asyncio.run(run())

    assert most == 3


def test_lets_pictures_go_before_robots_files() -> None:
    order: list[str] = []

    async def run() -> None:
        places = Places(1)

        async def hold(name: str, for_robots: bool) -> None:
            async with places.place(for_robots=for_robots):
                order.append(name)

        async with places.place(for_robots=False):
            waiting = [
                asyncio.create_task(hold(name, name.startswith("robots")))
                for name in ("robots 1", "picture 1", "robots 2", "picture 2")
            ]
            await asyncio.sleep(0)
            assert places.is_full
        await asyncio.gather(*waiting)

    asyncio.run(run())

    assert order == ["picture 1", "picture 2", "robots 1", "robots 2"]


def test_loses_no_place_to_rows_that_are_cancelled() -> None:
    async def run() -> None:
        places = Places(2)

        async def hold() -> None:
            async with places.place(for_robots=False):
                await asyncio.sleep(10)

        tasks = [asyncio.create_task(hold()) for _ in range(6)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()  # waits, and is given the place of the first at the same moment
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with places.place(for_robots=False), places.place(for_robots=True):
            assert places.is_full

    asyncio.run(run())
