using System.Text.Json;

namespace Glm.Training.Tests;

/// <summary>
/// Replays the recorded draws of a reference run (its README tells the format), and checks that each is asked for with the
/// recorded arguments and that none is left over.
/// </summary>
internal sealed class ReplayedRandom : RandomSource
{
    private readonly JsonElement[] _trace;
    private int _next;

    public ReplayedRandom(JsonElement trace) => _trace = [.. trace.EnumerateArray()];

    public override double NextDouble() => Take("random")[1].GetDouble();

    public override int Next(int from, int to)
    {
        JsonElement draw = Take("randrange", "randint");
        int[] arguments = draw[1].Deserialize<int[]>()!;
        int first = arguments.Length == 1 ? 0 : arguments[0];
        int last = arguments[^1] - (draw[0].GetString() == "randrange" ? 1 : 0);
        Assert.Equal((first, last), (from, to - 1));
        return draw[2].GetInt32();
    }

    /// <summary>The recorded choices are lengths, 1 for index 0.</summary>
    public override int Choose(ReadOnlySpan<double> cumulativeWeights)
    {
        int choice = Take("choices")[1][0].GetInt32() - 1;
        Assert.InRange(choice, 0, cumulativeWeights.Length - 1);
        return choice;
    }

    public override void Shuffle<T>(List<T> items)
    {
        JsonElement draw = Take("shuffle");
        string[] before = Texts(draw[1]), after = Texts(draw[2]);
        Assert.Equal(before, items.ConvertAll(Text));
        T[] old = [.. items];
        for (int i = 0; i < after.Length; i++)
        {
            int from = Array.IndexOf(before, after[i]);
            items[i] = old[from];
            before[from] = "";
        }
    }

    public void AssertFinished()
    {
        SkipSeeds();
        Assert.Equal(_trace.Length, _next);
    }

    private static string[] Texts(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetRawText().Replace(" ", ""))];

    private static string Text<T>(T item) => item is ValueTuple<int, int> span ? $"[{span.Item1},{span.Item2}]" : $"{item}";

    private JsonElement Take(params string[] kinds)
    {
        SkipSeeds();
        Assert.True(_next < _trace.Length, $"asked for {kinds[0]} after the last recorded draw");
        JsonElement draw = _trace[_next++];
        Assert.Contains(draw[0].GetString()!, kinds);
        return draw;
    }

    /// <summary>The generator is seeded with a number, or with one drawn by a generator seeded first.</summary>
    private void SkipSeeds()
    {
        while (_next < _trace.Length && (Kind(_next) == "seed" || (Kind(_next) == "randint" && _next > 0 && Kind(_next - 1) == "seed"))) _next++;
    }

    private string Kind(int index) => _trace[index][0].GetString()!;
}
