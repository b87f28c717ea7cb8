using FsCheck;
using FsCheck.Fluent;

namespace Glm.Tests;

public class CounterRandomTests
{
    /// <summary>The known answers that the authors of Philox4x32-10 publish with it.</summary>
    [Theory]
    [InlineData(0ul, 0ul, 0ul, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x299f31d0a4093822ul, 0x0370734413198a2eul, 0x85a308d3243f6a88ul, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void Known_answers_of_Philox(ulong key, ulong stream, ulong counter, uint first, uint second, uint third, uint fourth)
    {
        var block = new uint[4];
        CounterRandom.Philox(key, stream, counter, block);
        Assert.Equal([first, second, third, fourth], block);
    }

    [Fact]
    public void Sequence_and_fill_give_the_numbers_of_At() =>
        Prop.ForAll<ulong, byte, byte>((seed, start, count) =>
        {
            ulong stream = seed / 3;
            var filled = new uint[count];
            CounterRandom.Fill(seed, stream, start, filled);
            var sequence = new CounterRandom(seed, stream);
            for (int i = 0; i < start; i++) sequence.NextUInt32();
            for (int i = 0; i < count; i++)
            {
                uint expected = CounterRandom.At(seed, stream, (ulong)(start + i));
                if (filled[i] != expected || sequence.NextUInt32() != expected) return false;
            }
            return true;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Integers_stay_in_range_and_are_uniform()
    {
        var random = new CounterRandom(7, 1);
        var counts = new int[10];
        for (int i = 0; i < 100_000; i++) counts[random.NextInt(10)]++;
        // 10 % of 100,000 draws, standard deviation 95.
        Assert.All(counts, count => Assert.InRange(count, 9_500, 10_500));
        Assert.Throws<ArgumentOutOfRangeException>(() => random.NextInt(0));
    }

    [Fact]
    public void Doubles_are_uniform_and_gaussians_normal()
    {
        var random = new CounterRandom(7, 2);
        double[] uniform = [.. Enumerable.Range(0, 100_000).Select(_ => random.NextDouble())];
        Assert.All(uniform, value => Assert.InRange(value, 0, Math.BitDecrement(1.0)));
        Assert.Equal(0.5, uniform.Average(), 0.005);
        Assert.Equal(1.0 / 3, uniform.Average(value => value * value), 0.005);

        double[] normal = [.. Enumerable.Range(0, 100_000).Select(_ => random.NextGaussian())];
        Assert.Equal(0, normal.Average(), 0.02);
        Assert.Equal(1, normal.Average(value => value * value), 0.03);
        Assert.Equal(3, normal.Average(value => value * value * value * value), 0.2);
        Assert.Equal(0.6827, normal.Count(value => Math.Abs(value) < 1) / 100_000.0, 0.01);
    }

    [Fact]
    public void Streams_and_seeds_are_unrelated()
    {
        uint[] Numbers(ulong seed, ulong stream)
        {
            var numbers = new uint[1000];
            CounterRandom.Fill(seed, stream, 0, numbers);
            return numbers;
        }
        uint[] numbers = Numbers(1, 1);
        foreach (uint[] other in new[] { Numbers(2, 1), Numbers(1, 2), Numbers(2, 2) })
        {
            double differingBits = numbers.Zip(other, (a, b) => (double)System.Numerics.BitOperations.PopCount(a ^ b)).Average();
            Assert.Equal(16, differingBits, 0.5); // half of 32; standard deviation of the mean 0.09
        }
    }
}
