using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>Published vocabularies as metadata of GGUF files, and read back out of them.</summary>
public sealed class GgufVocabularyMetadataTests
{
    private static readonly string[] Texts = ["", "Hello world, 你好 1234", "  two\n\nlines\t", "naïve 🙂 Ω", "[MASK] <|user|>"];

    [TokenizersFact]
    public void A_vocabulary_comes_back()
    {
        foreach (var (name, padding) in new[] { ("chatglm3-6b", 226), ("glm-4-9b", 209) })
        {
            var tokenizer = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, name));
            int rows = tokenizer.VocabularySize + padding;
            var metadata = GgufVocabularyMetadata.Of(tokenizer, rows)!.ToDictionary(pair => pair.Key[GgufVocabularyMetadata.Prefix.Length..], pair => pair.Value);
            string[] tokens = (string[])metadata["tokens"];
            int[] types = (int[])metadata["token_type"];
            Assert.Equal((rows, rows, $"[PAD{rows - 1}]", (int)PieceType.Unused), (tokens.Length, types.Length, tokens[^1], types[^1]));
            var scores = metadata.TryGetValue("scores", out object? values) ? Array.ConvertAll((float[])values, score => (double)score) : null;
            var vocabulary = new GgufVocabulary(name, (string)metadata["model"], (string)metadata["pre"], tokens, scores, Array.ConvertAll(types, type => (double)type));
            using var folder = new TemporaryFolder();
            folder.Write("tokenizer.model", vocabulary.ToTokenizerModel());
            foreach (var read in new[] { vocabulary.Create(), Tokenizer.Load(folder.Path) })
            {
                Assert.Equal((tokenizer.Kind, tokenizer.VocabularySize), (read.Kind, read.VocabularySize));
                foreach (string text in Texts)
                {
                    Assert.Equal(tokenizer.Encode(text), read.Encode(text));
                    Assert.Equal(tokenizer.EncodeWithSpecial(text), read.EncodeWithSpecial(text));
                }
            }
        }
    }

    /// <summary>Engines that know merges and no ranks come to the same tokens. Each text is one word, whose letters are merged across all places.</summary>
    [TokenizersFact]
    public void Merges_make_what_ranks_make()
    {
        var tokenizer = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, "glm-4-9b"));
        var metadata = GgufVocabularyMetadata.Of(tokenizer, tokenizer.VocabularySize)!.ToDictionary(pair => pair.Key[GgufVocabularyMetadata.Prefix.Length..], pair => pair.Value);
        var places = ((string[])metadata["merges"]).Index().ToDictionary(merge => merge.Item, merge => merge.Index);
        string[] tokens = (string[])metadata["tokens"];
        foreach (string word in new[] { "程序正在进行测试然后显示了结果", "他的状态已经恢复平静", "因此可以减少执行时间", "Donaudampfschiff", "acknowledgementsandso", "данныекоторые", "données" })
            Assert.Equal(tokenizer.Encode(word).Select(id => tokens[id]), Merged([.. ByteAlphabet.Write(System.Text.Encoding.UTF8.GetBytes(word)).Select(letter => letter.ToString())], places));
    }

    private static List<string> Merged(List<string> parts, Dictionary<string, int> places)
    {
        while (true)
        {
            int best = Enumerable.Range(0, parts.Count - 1).MinBy(i => places.GetValueOrDefault($"{parts[i]} {parts[i + 1]}", int.MaxValue));
            if (!places.ContainsKey($"{parts[best]} {parts[best + 1]}")) return parts;
            parts[best] += parts[best + 1];
            parts.RemoveAt(best + 1);
        }
    }

    [TokenizersFact]
    public void What_GGUF_has_no_form_for_is_left_out_and_what_does_not_fit_is_refused()
    {
        var tokenizer = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm2-6b"));
        Assert.Null(GgufVocabularyMetadata.Of(tokenizer, 65024));
        Assert.Contains("expected at most the model's 100 ids", Assert.Throws<GlmException>(() => GgufVocabularyMetadata.Of(tokenizer, 100)).Message);
    }
}
