using FsCheck;
using FsCheck.Fluent;

namespace Glm.Cli.Tests;

public sealed class TokenizeTests(Vocabulary vocabulary) : IClassFixture<Vocabulary>
{
    [Theory]
    [InlineData("The old farmer paints the winter sea.")]
    [InlineData("孩子们唱歌。春天来了，花开了。")]
    [InlineData("unseen: žluťoučký 🐎 ▁ \t tabs   and spaces")]
    public void Decoding_gives_the_text_back(string text)
    {
        string ids = CommandRun.Of("tokenize", "encode", text, "--tokenizer", vocabulary.Path).Success();
        Assert.Equal(text + "\n", CommandRun.WithInput(ids, "tokenize", "decode", "-", "--tokenizer", vocabulary.Path).Success());
    }

    [Fact]
    public void Json_round_trip_of_any_text() => Prop.ForAll(ArbMap.Default.ArbFor<NonEmptyString>(), given =>
    {
        string text = given.Get.Replace("\0", "").Trim('\r', '\n');
        if (text.Length == 0 || !text.IsWellFormed()) return true;
        var ids = CommandRun.WithInput(text, "tokenize", "encode", "-", "--json", "--tokenizer", vocabulary.Path).Json().GetProperty("ids");
        string list = string.Join(',', ids.EnumerateArray());
        return CommandRun.Of("tokenize", "decode", list, "--json", "--tokenizer", vocabulary.Path).Json().GetProperty("text").GetString() == text;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Blanks_become_their_tokens()
    {
        string ids = CommandRun.Of("tokenize", "encode", "The [MASK] sea[gMASK]", "--tokenizer", vocabulary.Path).Success();
        Assert.Contains(" 4 ", ids);
        Assert.EndsWith(" 5\n", ids);
    }

    [Fact]
    public void No_text_at_a_terminal_is_wrong_usage() =>
        CommandRun.With("", interactive: true, CancellationToken.None, "tokenize", "encode", "--tokenizer", vocabulary.Path).Reason(CommandLine.WrongUsage);

    [Fact]
    public void Empty_text_has_no_ids() =>
        Assert.Equal(0, CommandRun.WithInput("", "tokenize", "encode", "-", "--json", "--tokenizer", vocabulary.Path).Json().GetProperty("ids").GetArrayLength());

    [Fact]
    public void An_unknown_id_is_refused() =>
        Assert.Contains("99999", CommandRun.Of("tokenize", "decode", "99999", "--tokenizer", vocabulary.Path).Reason());

    [Fact]
    public void Missing_and_truncated_tokenizers_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(folder["none.model"], CommandRun.Of("tokenize", "encode", "x", "--tokenizer", folder["none.model"]).Reason());
        byte[] whole = File.ReadAllBytes(vocabulary.Path);
        foreach (int length in new[] { 0, 1, 100, whole.Length - 1 })
        {
            File.WriteAllBytes(folder["cut.model"], whole[..length]);
            Assert.Contains("cut.model", CommandRun.Of("tokenize", "encode", "x", "--tokenizer", folder["cut.model"]).Reason());
        }
    }

    [Fact]
    public void Too_little_text_for_a_vocabulary_is_refused_and_nothing_is_written()
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("tokenize", "train", folder.Write("a.txt", "Just this."), "--output", folder["t.model"], "--quiet").Reason();
        Assert.False(File.Exists(folder["t.model"]));
    }
}

internal static class Utf16
{
    /// <summary>Whether no half of a surrogate pair stands alone, which UTF-8 could not carry.</summary>
    public static bool IsWellFormed(this string text) => !text.EnumerateRunes().Any(rune => rune.Value == 0xFFFD);
}
