namespace Glm.Plots.Tests;

public sealed class TicksTests
{
    [Theory]
    [InlineData(0, 100, 5, new[] { 0.0, 20, 40, 60, 80, 100 })]
    [InlineData(-0.31, 0.28, 6, new[] { -0.3, -0.2, -0.1, 0, 0.1, 0.2 })]
    [InlineData(1000, 50000, 5, new[] { 10000.0, 20000, 30000, 40000, 50000 })]
    public void Linear_ticks_are_round(double low, double high, int count, double[] expected) =>
        Assert.Equal(expected, Ticks.Between(low, high, false, count).Select(tick => tick.Value), (a, b) => Math.Abs(a - b) < 1e-9 * high);

    [Theory]
    [InlineData(0.5, 2000, 8, new[] { 1.0, 10, 100, 1000 })]
    [InlineData(3, 70, 8, new[] { 5.0, 10, 20, 50 })]
    [InlineData(1e-8, 1e8, 4, new[] { 1e-8, 1e-4, 1, 1e4, 1e8 })]
    [InlineData(10.5, 12.5, 4, new[] { 10.5, 11, 11.5, 12, 12.5 })]
    public void Logarithmic_ticks_are_powers_or_their_simple_multiples(double low, double high, int count, double[] expected) =>
        Assert.Equal(expected, Ticks.Between(low, high, true, count).Select(tick => tick.Value), (a, b) => Math.Abs(a - b) < 1e-9 * b);

    [Fact]
    public void Any_range_has_some_ticks_and_no_more_than_there_is_room_for()
    {
        var random = new Random(5);
        for (int i = 0; i < 3000; i++)
        {
            bool logarithmic = i % 2 == 0;
            double low = Math.Pow(10, random.Next(-12, 12)) * (0.1 + random.NextDouble()), high = low * (1 + (Math.Pow(10, random.Next(-3, 9)) * random.NextDouble()));
            if (!logarithmic && i % 3 == 0) (low, high) = (-high, low);
            int count = random.Next(3, 10);
            var ticks = Ticks.Between(low, high, logarithmic, count);
            Assert.InRange(ticks.Length, 1, (3 * count) + 3);
            Assert.All(ticks, tick => Assert.InRange(tick.Value, low - (1e-6 * Math.Abs(low)), high + (1e-6 * Math.Abs(high))));
            Assert.Equal(ticks.Length, ticks.Select(tick => tick.Label).Distinct().Count());
        }
    }

    [Theory]
    [InlineData(0, 10, "0")]
    [InlineData(49300, 100, "49,300")]
    [InlineData(80000, 20000, "80K")]
    [InlineData(150000, 50000, "150K")]
    [InlineData(2500000, 500000, "2.5M")]
    [InlineData(0.25, 0.05, "0.25")]
    [InlineData(1e-5, 1e-5, "1e−5")]
    [InlineData(-20, 10, "−20")]
    public void Labels_are_short(double value, double step, string expected) => Assert.Equal(expected, new Tick(value, step).Label);
}
