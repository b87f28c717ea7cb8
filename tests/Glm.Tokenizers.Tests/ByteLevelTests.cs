using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>Byte-pair encoding and its patterns, beside plain twins and recorded ids.</summary>
public sealed class ByteLevelTests
{
    /// <summary>Texts with halves of surrogate pairs, but no pairs, which the runtime's expressions do not see as one.</summary>
    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Elements(" ", "  ", "\n", "\r\n", "\t", "a", "B", "don't", "'RE", "'ſ", "'s", "'", "12", "3456", "½", "²", "٣", "你好", "。", "(", ")", "[", "]", "|", "!?", "…", "é", "e\u0301",
            "\u00a0", "\u2003", "\u2028", "\u0085", "\u001c", "\u200b", "ǅ", "ʰ", "_", "\0", "\ud800"),
        Gen.OneOf(Gen.Choose(0, 0xDBFF), Gen.Choose(0xE000, 0xFFFF)).Select(code => ((char)code).ToString())).ListOf().Select(string.Concat);

    /// <summary>Ids that <c>record-words.py</c> recorded, one file per vocabulary, named after its folder.</summary>
    [TokenizersFact]
    public void RecordedIds()
    {
        string[] vectors = Directory.GetFiles(Path.Combine(TestFiles.Repository, "tests", "Glm.Tokenizers.Tests", "vectors", "words"), "*.ids.gz");
        Assert.NotEmpty(vectors);
        foreach (string vector in vectors)
        {
            string folder = Path.Combine(TestFiles.Tokenizers!, Path.GetFileName(vector)[..^".ids.gz".Length]);
            var tokenizer = Tokenizer.Load(folder);
            using var reader = new StreamReader(new GZipStream(File.OpenRead(vector), CompressionMode.Decompress));
            foreach (string line in SyntheticLines.All)
            {
                string recorded = reader.ReadLine()!;
                if (recorded == "-") continue; // a character that not every version of Unicode has
                int[] expected = Spm.ParseIds(recorded), found = tokenizer.Encode(line);
                Assert.True(expected.SequenceEqual(found), $"{folder}: \"{line}\": expected {string.Join(' ', expected)}, found {string.Join(' ', found)}");
                if (tokenizer is ByteLevelTokenizer) Assert.Equal(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(line)), tokenizer.Decode(found));
            }
            Assert.Null(reader.ReadLine());
        }
    }

    // Inside the first 65536 code points the runtime's own expressions see what the scanners see; beyond them they see halves of surrogate pairs.
    [Theory]
    [InlineData(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", false)]
    [InlineData(@"(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", true)]
    public void Scanners_cut_as_the_expressions_do(string expression, bool glm4)
    {
        var pattern = glm4 ? SplitPattern.Glm4 : SplitPattern.Gpt2;
        var regex = new Regex(expression, RegexOptions.CultureInvariant);
        Prop.ForAll(Texts.ToArbitrary(), text => Cut(pattern, text).SequenceEqual(regex.Matches(text).Select(match => match.Value))).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Blooms_scanner_isolates_the_matches_of_its_expression()
    {
        var regex = new Regex(@" ?[^(\s|.,!?…。，、।۔،)]+", RegexOptions.CultureInvariant);
        Prop.ForAll(Texts.ToArbitrary(), text =>
        {
            var words = new List<string>();
            int end = 0;
            foreach (Match match in regex.Matches(text))
            {
                if (match.Index > end) words.Add(text[end..match.Index]);
                words.Add(match.Value);
                end = match.Index + match.Length;
            }
            if (end < text.Length) words.Add(text[end..]);
            return Cut(SplitPattern.Bloom, text).SequenceEqual(words);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Scanners_see_whole_code_points()
    {
        const string text = "𝒜𝓫 𠀀x 𝟘𝟙𝟚𝟛 😀😀";
        Assert.Equal(["𝒜𝓫", " 𠀀x", " ", "𝟘𝟙𝟚", "𝟛", " 😀😀"], Cut(SplitPattern.Glm4, text));
        Assert.Equal(["𝒜𝓫", " 𠀀x", " 𝟘𝟙𝟚𝟛", " 😀😀"], Cut(SplitPattern.Gpt2, text));
    }

    [Fact]
    public void Merging_takes_the_lowest_rank_and_the_leftmost_first()
    {
        var random = new Random(3);
        for (int round = 0; round < 50; round++)
        {
            // Random merges over three letters; ids of merged pairs follow one another.
            var merges = new Dictionary<ulong, BytePairMerge>();
            for (int id = 256; id < 256 + 3 + random.Next(20); id++)
            {
                int Token() => random.Next(id - 253) is var n && n < 3 ? 'a' + n : 253 + n;
                merges.TryAdd(BytePairEncoder.Key(Token(), Token()), new BytePairMerge(random.Next(30), id));
            }
            var encoder = new BytePairEncoder([.. Enumerable.Range(0, 256)], merges);
            for (int length = 0; length < 40; length += 1 + random.Next(5))
            {
                byte[] word = [.. Enumerable.Range(0, length).Select(_ => (byte)('a' + random.Next(3)))];
                var ids = new List<int>();
                encoder.Encode(word, ids);
                Assert.Equal(Twin(word, merges), ids);
            }
        }
    }

    [Fact]
    public void A_very_long_word_is_encoded()
    {
        var tokenizer = TinyBloom.Load(TinyBloom.Json());
        string word = string.Concat(Enumerable.Repeat("ab", 1 << 19));
        int[] ids = tokenizer.Encode(word);
        Assert.True(ids.Length < word.Length);
        Assert.Equal(word, tokenizer.Decode(ids));
        Assert.Equal(1 << 20, tokenizer.Decode(tokenizer.Encode(new string(' ', 1 << 20))).Length);
    }

    [Fact]
    public void Every_text_comes_back_whole_and_in_pieces()
    {
        var tokenizer = TinyBloom.Load(TinyBloom.Json());
        Prop.ForAll(Texts.ToArbitrary(), text =>
        {
            string wellFormed = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            int[] ids = tokenizer.Encode(text);
            var decoder = new StreamingDecoder(tokenizer);
            string[] parts = [.. ids.Select(decoder.Append), decoder.Finish()];
            return tokenizer.Decode(ids) == wellFormed && string.Concat(parts) == wellFormed && parts.All(part => !part.Any(char.IsSurrogate) || part.EnumerateRunes().Sum(rune => rune.Utf16SequenceLength) == part.Length);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Bytes_that_are_no_character_become_one_mark_for_each_beginning()
    {
        var tokenizer = TinyBloom.Load(TinyBloom.Json());
        int Byte(byte value) => 4 + value;
        // As Python decodes: the beginning F0 9F is one mark, the lone continuation 80 another.
        Assert.Equal("\ufffda\ufffd", tokenizer.Decode([Byte(0xF0), Byte(0x9F), Byte((byte)'a'), Byte(0x80)]));
        var decoder = new StreamingDecoder(tokenizer);
        Assert.Equal(["", "", "", "😀", ""], [.. "😀"u8.ToArray().Select(value => decoder.Append(Byte(value))), decoder.Finish()]);
    }

    private static List<string> Cut(SplitPattern pattern, string text)
    {
        var words = new List<string>();
        for (int start = 0, length; start < text.Length; start += length)
        {
            length = pattern.NextLength(text.AsSpan(start));
            Assert.True(length > 0);
            words.Add(text.Substring(start, length));
        }
        return words;
    }

    private static List<int> Twin(byte[] word, Dictionary<ulong, BytePairMerge> merges)
    {
        List<int> ids = [.. word.Select(value => (int)value)];
        while (true)
        {
            int best = -1;
            BytePairMerge found = default;
            for (int i = 0; i + 1 < ids.Count; i++)
                if (merges.TryGetValue(BytePairEncoder.Key(ids[i], ids[i + 1]), out var merge) && (best < 0 || merge.Rank < found.Rank)) (best, found) = (i, merge);
            if (best < 0) return ids;
            ids[best] = found.Id;
            ids.RemoveAt(best + 1);
        }
    }
}
