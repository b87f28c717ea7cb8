namespace Glm.Training;

/// <summary>Draws lengths and places of masked spans.</summary>
internal sealed class SpanSampler
{
    private const int LongestSpan = 39;

    private readonly double[] _cumulativeLengths;

    /// <summary>Lengths 1…39 have Poisson weights, zero is excluded.</summary>
    public SpanSampler(double averageLength)
    {
        double[] probabilities = Poisson(averageLength, LongestSpan);
        _cumulativeLengths = new double[LongestSpan];
        double sum = 0;
        for (int i = 0; i < LongestSpan; i++) _cumulativeLengths[i] = sum += probabilities[i + 1];
    }

    /// <summary>One length.</summary>
    public int Length(RandomSource random) => 1 + random.Choose(_cumulativeLengths);

    /// <summary>Lengths until their sum is at least <paramref name="total"/>; the last one may exceed it.</summary>
    public List<int> Lengths(int total, RandomSource random)
    {
        var lengths = new List<int>();
        for (int sum = 0; sum < total; sum += lengths[^1]) lengths.Add(Length(random));
        return lengths;
    }

    /// <summary>
    /// Places spans of the given lengths, in their order, into [offset, offset + total) so that they never touch: with
    /// m = total - sum(lengths) - count + 1, draw count numbers of [0, m] and sort them; span i starts at its number plus the lengths
    /// and the count of the spans before it.
    /// </summary>
    public static void Place(ReadOnlySpan<int> lengths, int offset, int total, RandomSource random, List<(int Start, int End)> spans)
    {
        int covered = 0;
        foreach (int length in lengths) covered += length;
        int m = total - covered - lengths.Length + 1;
        var places = new int[lengths.Length];
        for (int i = 0; i < places.Length; i++) places[i] = random.Next(0, m + 1);
        Array.Sort(places);
        for (int i = 0; i < places.Length; i++)
        {
            int start = offset + places[i];
            spans.Add((start, start + lengths[i]));
            offset += lengths[i] + 1;
        }
    }

    /// <summary>The first spans, until they cover at least <paramref name="total"/> tokens.</summary>
    public static List<(int Start, int End)> TakeUntil(List<(int Start, int End)> spans, int total)
    {
        int count = 0;
        for (int covered = 0; count < spans.Count && (count == 0 || covered < total); count++) covered += spans[count].End - spans[count].Start;
        return spans[..count];
    }

    /// <summary>Poisson probabilities P(k) = mean^k exp(-mean) / k! for k = 0…<paramref name="last"/>.</summary>
    public static double[] Poisson(double mean, int last)
    {
        var probabilities = new double[last + 1];
        probabilities[0] = Math.Exp(-mean);
        for (int k = 1; k <= last; k++) probabilities[k] = probabilities[k - 1] * mean / k;
        return probabilities;
    }
}
