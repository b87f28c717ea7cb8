using System.Text.Json;

namespace Glm.Training.Tests;

/// <summary>Copies, near copies and what is held out do not get into training data; what merely shares phrases does.</summary>
public class CopyFilterTests
{
    private static string English(int from, int count) => string.Join(' ', Enumerable.Range(from, count).Select(i => $"The number {i} is followed by {i + 1} on the road."));

    private static string Chinese(int from, int count) => string.Concat(Enumerable.Range(from, count).Select(i => $"第{i}章讲的是一件旧事。"));

    private static (ShardManifest Manifest, int[] Ids) Prepare(DataPrepareOptions options, params (string File, string[] Texts)[] inputs)
    {
        using var folder = new TemporaryFolder();
        string[] files = [.. inputs.Select(input => folder.Write(input.File, string.Concat(input.Texts.Select(text => JsonSerializer.Serialize(new { text }) + "\n"))))];
        var manifest = new DataPreparer(options with { HeldOut = [.. options.HeldOut.Select(name => folder[name])] }).Prepare([.. files.Where(file => !file.Contains("valid"))], folder["out"]);
        Assert.Equivalent(manifest, ShardManifest.Load(folder["out"]), strict: true);
        return (manifest, DataPreparerTests.ReadAll(folder["out"]));
    }

    [Fact]
    public void Copies_are_left_out_within_a_file_and_across_files()
    {
        string one = English(0, 9), two = Chinese(0, 9), three = English(50, 9);
        var (manifest, ids) = Prepare(DataPreparerTests.Bytes with { Deduplicate = true }, ("a.jsonl", [one, two, one]), ("b.jsonl", [two, three, "Yes", "Yes"]));
        Assert.Equal(DataPreparerTests.Ids(one, two, three, "Yes"), ids);
        Assert.Equal([new LeftOut(1, one.Length), new LeftOut(2, System.Text.Encoding.UTF8.GetByteCount(two) + 3)], manifest.Sources.Select(source => source.Duplicates));
        Assert.All(manifest.Sources, source => Assert.Null(source.HeldOut));
    }

    [Fact]
    public void Nothing_is_left_out_unless_asked_for()
    {
        string one = English(0, 9);
        var (manifest, ids) = Prepare(DataPreparerTests.Bytes, ("a.jsonl", [one, one]));
        Assert.Equal(DataPreparerTests.Ids(one, one), ids);
        Assert.Null(manifest.Sources[0].Duplicates);
    }

    [Theory]
    [InlineData(10, 0, true)]
    [InlineData(10, 9, true)]
    [InlineData(10, 11, false)]
    [InlineData(0, 10, false)]
    public void More_than_half_makes_a_copy(int old, int fresh, bool copy)
    {
        foreach (Func<int, int, string> text in new[] { English, Chinese })
        {
            var filter = new CopyFilter(deduplicate: true);
            Assert.Equal(CopyKind.None, filter.Judge(text(100, 20)));
            Assert.Equal(copy ? CopyKind.Duplicate : CopyKind.None, filter.Judge($"{text(200, fresh)}\n{text(105, old)}"));
        }
    }

    [Theory]
    [InlineData("The cat sat on the mat, and it was there to stay. “Why?” asked the dog, who knew nothing about cats.", "the cat sat on the\nmat and it was there to stay.\n\n'Why?' asked the DOG -- who knew nothing about cats!")]
    [InlineData("午夜明蟾冷浸溪。姮娥应有辟寒犀。桂岩仍在曲阑西。", "午夜明蟾冷浸溪\n姮娥应有辟寒犀\n桂岩仍在曲阑西\n")]
    public void Line_breaks_case_and_punctuation_make_no_difference(string text, string copy)
    {
        var filter = new CopyFilter(deduplicate: true);
        Assert.Equal([CopyKind.None, CopyKind.Duplicate], [filter.Judge(text), filter.Judge(copy)]);
    }

    [Fact]
    public void A_document_that_repeats_itself_is_kept() => Assert.Equal(CopyKind.None, new CopyFilter(deduplicate: true).Judge(English(5, 1) + "\n" + English(5, 1)));

    [Fact]
    public void What_was_left_out_makes_no_copies()
    {
        var filter = new CopyFilter(deduplicate: true);
        filter.HoldOut(English(0, 5));
        Assert.Equal(CopyKind.HeldOut, filter.Judge($"{English(0, 5)}\n{Chinese(0, 5)}"));
        Assert.Equal(CopyKind.None, filter.Judge(Chinese(0, 5)));
    }

    [Fact]
    public void Held_out_text_is_kept_out_of_training_data()
    {
        string fresh = English(100, 40), mixed = $"{English(200, 20)}\n{English(3, 4)}", phrase = $"{English(300, 20)}\n{English(3, 1)}";
        var options = DataPreparerTests.Bytes with { HeldOut = ["valid.jsonl"] };
        var (manifest, ids) = Prepare(options, ("a.jsonl", [fresh, mixed, fresh, phrase]), ("valid.jsonl", [English(0, 20)]));
        Assert.Equal(DataPreparerTests.Ids(fresh, fresh, phrase), ids);
        Assert.Equal((new LeftOut(1, mixed.Length), null), (manifest.Sources[0].HeldOut, manifest.Sources[0].Duplicates));

        Assert.Contains("not held out", Assert.Throws<GlmException>(() => Prepare(options, ("a.jsonl", [mixed]), ("valid.jsonl", [English(0, 20)]))).Message);
        Assert.Contains("valid.jsonl, line 1: expected a held-out document, found empty text", Assert.Throws<GlmException>(() => Prepare(options, ("a.jsonl", [fresh]), ("valid.jsonl", [" "]))).Message);
    }
}
